//! HTTP as far as a benchmark needs it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at something that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// GETs a path on a connection of its own.
///
/// # Errors
/// When there is no answer, or none with status 200.
pub(crate) fn get(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut raw = Vec::new();
    stream.read_to_end(&mut raw)?;
    let text = String::from_utf8_lossy(&raw);
    let (head, body) = text.split_once("\r\n\r\n").context("no HTTP answer")?;
    if head.split(' ').nth(1) != Some("200") {
        bail!("GET {path}: {}", head.lines().next().unwrap_or_default());
    }
    Ok(body.to_owned())
}

/// Looks until something is there.
///
/// # Errors
/// When it is not there after `patience`, with what the last look said.
pub(crate) fn wait_for<T>(
    what: &str,
    patience: Duration,
    mut look: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let until = Instant::now() + patience;
    loop {
        let found = look();
        if let Ok(Some(found)) = found {
            return Ok(found);
        }
        if Instant::now() > until {
            let waited = format!("waited {} s for {what}", patience.as_secs());
            return Err(found.err().map_or_else(|| anyhow::anyhow!(waited.clone()), |e| e.context(waited.clone())));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// A connection that stays open between requests.
pub(crate) struct KeptOpen {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl KeptOpen {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub(crate) fn connect(address: SocketAddr) -> anyhow::Result<KeptOpen> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(KeptOpen { stream, buffer: Vec::with_capacity(16_384) })
    }

    /// GETs a path and returns the body.
    ///
    /// # Errors
    /// When the answer does not come, or has no known end.
    pub(crate) fn get(&mut self, path: &str) -> anyhow::Result<String> {
        write!(self.stream, "GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n")?;
        self.buffer.clear();
        let mut piece = [0; 16_384];
        loop {
            match self.stream.read(&mut piece)? {
                0 => bail!("the connection ended amid an answer"),
                read => self.buffer.extend_from_slice(&piece[..read]),
            }
            let text = String::from_utf8_lossy(&self.buffer);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let head = head.to_ascii_lowercase();
            match head.lines().find_map(|line| line.strip_prefix("content-length: ")) {
                Some(length) if body.len() >= length.trim().parse::<usize>()? => return Ok(body.to_owned()),
                None if head.contains("transfer-encoding: chunked") && body.ends_with("\r\n0\r\n\r\n") => {
                    return joined(body).context("the chunks of an answer do not fit");
                }
                _ => {}
            }
        }
    }
}

/// A body without the lengths of its chunks (RFC 9112 section 7.1).
fn joined(mut chunks: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (length, rest) = chunks.split_once("\r\n")?;
        let length = usize::from_str_radix(length.trim(), 16).ok()?;
        if length == 0 {
            return Some(body);
        }
        body.push_str(rest.get(..length)?);
        chunks = rest.get(length..)?.strip_prefix("\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn a_body_in_chunks_is_joined_where_a_word_was_cut() {
        assert_eq!(joined("6\r\nprobe_\r\n9\r\nsuccess 1\r\n0\r\n\r\n").as_deref(), Some("probe_success 1"));
        assert_eq!(joined("6\r\nprobe"), None);
    }
}
