//! What is sent: files measured before they go, standard input spooled, texts held.

use crate::exit::Exit;
use crate::failure::Failure;
use crate::home::Home;
use crate::value::recipient::Source;
use std::fs::{DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use towline::mail::Body;
use towline_proto::ids::Digest;
use towline_proto::mail::envelope::Envelope;

/// One body, measured, and what the sender calls it.
#[derive(Debug)]
pub(super) struct Prepared {
    /// Where its bytes are.
    pub(super) body: Body,
    /// Its name on the envelope.
    pub(super) name: String,
    /// Its media type, or empty.
    pub(super) content_type: String,
    /// Its length and root.
    pub(super) measure: (u64, Digest),
    /// Standard input's copy: gone with this value.
    _spool: Option<Spool>,
}

/// A file that is removed when nobody needs it any more.
#[derive(Debug)]
struct Spool(PathBuf);

impl Drop for Spool {
    fn drop(&mut self) {
        // If it is gone already, so much the better.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Opens, spools and measures one source.
pub(super) async fn prepare(
    home: &Home,
    source: Source,
    name: Option<&str>,
    kind: Option<&str>,
) -> Result<Prepared, Failure> {
    let (body, own_name, spool) = match source {
        Source::Text(text) => (Body::Bytes(text.into_bytes().into()), String::new(), None),
        Source::Stdin => {
            let spool = spool_stdin(home)?;
            (Body::File(spool.0.clone()), String::new(), Some(spool))
        }
        Source::File(word) => {
            let path = PathBuf::from(word);
            let name = file_name(&path, name.is_some())?;
            (Body::File(path), name, None)
        }
    };
    let measure = body.measure().await.map_err(|error| match &body {
        Body::File(path) => Failure::io("read", path, &error),
        Body::Bytes(_) => Failure::new(Exit::Error, error.to_string()),
    })?;
    let name = name.map_or(own_name, str::to_owned);
    if name.len() > Envelope::MAX_NAME_LEN {
        let what = format!("the name has {} bytes; an envelope has room for {}", name.len(), Envelope::MAX_NAME_LEN);
        return Err(Failure::usage(what).cure("give a shorter one with `--name`"));
    }
    let content_type = kind.map_or_else(|| media_type(&name).to_owned(), str::to_owned);
    Ok(Prepared { body, name, content_type, measure, _spool: spool })
}

/// The last part of the path. A name that is not UTF-8 cannot stand on an envelope, so it needs another.
fn file_name(path: &Path, has_other: bool) -> Result<String, Failure> {
    let metadata = std::fs::metadata(path).map_err(|error| Failure::io("read", path, &error))?;
    if metadata.is_dir() {
        let what = format!("{} is a folder", path.display());
        return Err(
            Failure::usage(what).cure("name the files in it, or pack it first: `tar c FOLDER | towline send - …`")
        );
    }
    match path.file_name().and_then(|name| name.to_str()) {
        Some(name) => Ok(name.to_owned()),
        None if has_other => Ok(String::new()),
        None => {
            Err(Failure::usage(format!("the name of {} is not UTF-8", path.display()))
                .cure("give another with `--name`"))
        }
    }
}

/// Copies standard input to a file, since its length and root stand in the envelope that goes ahead of it.
fn spool_stdin(home: &Home) -> Result<Spool, Failure> {
    let dir = home.device().join("stdin");
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(&dir).map_err(|error| Failure::io("make", &dir, &error))?;
    let path = dir.join(uuid::Uuid::now_v7().simple().to_string());
    let io = |error: std::io::Error| Failure::io("write", &path, &error);
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&path).map_err(io)?;
    let spool = Spool(path.clone());
    std::io::copy(&mut std::io::stdin().lock(), &mut file).map_err(io)?;
    Ok(spool)
}

/// What is well known by the end of its name; everything else has no type unless `--type` says one.
fn media_type(name: &str) -> &'static str {
    const KNOWN: [(&str, &str); 10] = [
        ("csv", "text/csv"),
        ("html", "text/html"),
        ("jpg", "image/jpeg"),
        ("json", "application/json"),
        ("pdf", "application/pdf"),
        ("png", "image/png"),
        ("tsv", "text/tab-separated-values"),
        ("txt", "text/plain"),
        ("xml", "application/xml"),
        ("zip", "application/zip"),
    ];
    let end = name.rsplit_once('.').map_or(String::new(), |(_, end)| end.to_ascii_lowercase());
    KNOWN.iter().find(|(known, _)| *known == end).map_or("", |&(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn of(source: Source, name: Option<&str>) -> Result<Prepared, Failure> {
        let dir = tempfile::tempdir().unwrap();
        prepare(&Home::find(Some(dir.path().into())).unwrap(), source, name, None).await
    }

    #[tokio::test]
    async fn a_file_is_measured_and_named_by_its_last_part() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a \"b\"\nc ü.XML");
        std::fs::write(&path, b"<x/>").unwrap();
        let prepared = of(Source::File(path.into()), None).await.unwrap();
        assert_eq!((prepared.name.as_str(), prepared.content_type.as_str()), ("a \"b\"\nc ü.XML", "application/xml"));
        assert_eq!(prepared.measure, (4, Digest(*blake3::hash(b"<x/>").as_bytes())));
    }

    #[tokio::test]
    async fn what_cannot_be_sent_is_told_with_its_exit_code() {
        assert_eq!(of(Source::File("/nowhere/x".into()), None).await.unwrap_err().exit, Exit::NotFound);
        assert_eq!(of(Source::File("/".into()), None).await.unwrap_err().exit, Exit::Usage);
        assert_eq!(of(Source::Text("x".into()), Some(&"n".repeat(2_000))).await.unwrap_err().exit, Exit::Usage);
    }
}
