//! The mailbox as a list of pages: the main file with the log's pages laid over it, whatever state both are in.

use super::PAGE_BYTES;
use super::error::StoreError;
use super::log::{Frame, Log};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// A page's content.
pub(crate) type Page = [u8; PAGE_BYTES];

/// The pages of a mailbox.
pub(crate) struct Image {
    main: Option<File>,
    log: Option<File>,
    /// Pages that the log has, and where.
    newer: BTreeMap<u32, u64>,
    /// Where the log has pages of which neither number nor content can be trusted.
    suspects: Vec<u64>,
    pages: u32,
    path: PathBuf,
}

impl Image {
    /// The main file at `path` and the first `end` frames of its log.
    pub(crate) fn open(path: &Path, log_path: &Path, log: &Log, end: usize) -> Result<Self, StoreError> {
        let open = |path: &Path| match File::open(path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io("read", path)(error)),
        };
        let main = open(path)?;
        let length = main.as_ref().map_or(Ok(0), |file| file.metadata().map(|meta| meta.len()));
        let length = length.map_err(StoreError::io("read", path))?;
        let frames = log.up_to(end);
        let (whole, broken): (Vec<&Frame>, Vec<&Frame>) = frames.iter().partition(|frame| frame.whole);
        let newer: BTreeMap<u32, u64> = whole.into_iter().map(|frame| (frame.page, frame.at)).collect();
        let in_main = u32::try_from(length.div_ceil(PAGE_BYTES as u64)).unwrap_or(u32::MAX);
        Ok(Self {
            main,
            log: open(log_path)?,
            pages: in_main.max(newer.last_key_value().map_or(0, |(&page, _)| page)),
            newer,
            suspects: broken.into_iter().map(|frame| frame.at).collect(),
            path: path.into(),
        })
    }

    /// How many pages there are; they are counted from 1.
    pub(crate) fn pages(&self) -> u32 {
        self.pages
    }

    /// A page. What is missing at the file's end is zeros.
    ///
    /// # Errors
    /// If the disk cannot be read.
    pub(crate) fn page(&self, number: u32) -> Result<Page, StoreError> {
        if let Some(&at) = self.newer.get(&number) {
            return self.read(self.log.as_ref(), at);
        }
        self.read(self.main.as_ref(), u64::from(number.saturating_sub(1)) * PAGE_BYTES as u64)
    }

    /// Every content that a page has or may have had: all pages, then those that cannot be trusted.
    pub(crate) fn contents(&self) -> impl Iterator<Item = Result<Page, StoreError>> + '_ {
        (1..=self.pages).map(|number| self.page(number)).chain(self.suspects())
    }

    /// The contents that cannot be trusted.
    pub(crate) fn suspects(&self) -> impl Iterator<Item = Result<Page, StoreError>> + '_ {
        self.suspects.iter().map(|&at| self.read(self.log.as_ref(), at))
    }

    fn read(&self, file: Option<&File>, at: u64) -> Result<Page, StoreError> {
        let mut page = [0; PAGE_BYTES];
        let Some(file) = file else { return Ok(page) };
        let mut filled = 0;
        while filled < PAGE_BYTES {
            match file.read_at(&mut page[filled..], at + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(StoreError::io("read", &self.path)(error)),
            }
        }
        Ok(page)
    }
}
