//! The journal's own thread: it gathers the steps that wait, makes them durable together, and says so.

use super::journal::{Journal, JournalError};
use super::store::{Expected, Store};
use tokio::sync::mpsc;
use towline_proto::mail::agent::io::{JournalWrite, Output};

/// One step's writes, and what may be done once they are synced.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    pub(crate) writes: Vec<JournalWrite>,
    pub(crate) after_sync: Vec<Output>,
}

/// How many steps were synced together, and what may be done now.
pub(crate) type Synced = Result<(usize, Vec<Output>), JournalError>;

/// Starts the thread. It takes steps, and gives back their outputs in order once they are synced; after a failure it
/// gives that, and ends. It ends too, all done, when no more steps can come.
pub(crate) fn start(
    mut journal: Box<dyn Journal>,
    store: Store,
) -> (mpsc::UnboundedSender<Pending>, mpsc::UnboundedReceiver<Synced>) {
    // Unbounded is bounded here: the core holds at most `MAX_HELD` messages, and each has a few steps.
    let (steps, mut incoming) = mpsc::unbounded_channel::<Pending>();
    let (synced, outputs) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        while let Some(mut group) = incoming.blocking_recv() {
            let mut steps = 1;
            while let Ok(more) = incoming.try_recv() {
                group.writes.extend(more.writes);
                group.after_sync.extend(more.after_sync);
                steps += 1;
            }
            let committed = commit(&mut *journal, &store, &group.writes);
            let failed = committed.is_err();
            let told = synced.send(committed.map(|()| (steps, group.after_sync)));
            if failed || told.is_err() {
                return;
            }
        }
    });
    (steps, outputs)
}

/// Bodies that came inline go into the store first: a record is never there without its body.
pub(super) fn commit(journal: &mut dyn Journal, store: &Store, writes: &[JournalWrite]) -> Result<(), JournalError> {
    for write in writes {
        if let JournalWrite::Hold { record, body: Some(body) } = write
            && let Ok(envelope) = record.envelope.decode()
        {
            store.put(record.id, body, Expected { size: envelope.size, root: envelope.root })?;
        }
    }
    if writes.is_empty() { Ok(()) } else { journal.commit(writes) }
}
