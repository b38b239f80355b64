//! Answers that no check should be hurt by. Each ends by itself, in case the peer never gives up.
//!
//! | path | what the peer gets |
//! |---|---|
//! | `/hang` | nothing |
//! | `/head` | a head that promises a body, and then nothing |
//! | `/endless` | a body without an end |
//! | `/drip` | a body, a byte every 100 ms |
//! | `/garbage` | bytes that are not HTTP |
//! | `/reset` | a reset in place of an answer |

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use super::Stream;

/// No answer goes on longer.
const PLAGUE_MAX: Duration = Duration::from_secs(60);
/// Between two bytes of a drip.
const DRIP_EVERY: Duration = Duration::from_millis(100);
/// A helping of the endless body.
const CHUNK: [u8; 16_384] = [b'x'; 16_384];

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\nConnection: close\r\n\r\n";
const HEAD_WITHOUT_END: &[u8] = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
const NOT_FOUND: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// Answers a path of this first part.
pub(super) async fn serve<S: Stream>(stream: &mut S, first: &str) -> std::io::Result<()> {
    let until = Instant::now() + PLAGUE_MAX;
    match first {
        "hang" => tokio::time::sleep_until(until).await,
        "head" => {
            stream.write_all(HEAD).await?;
            tokio::time::sleep_until(until).await;
        }
        "endless" => {
            stream.write_all(HEAD_WITHOUT_END).await?;
            while Instant::now() < until {
                stream.write_all(&CHUNK).await?;
                // One thread serves all: the others get their turn.
                tokio::task::yield_now().await;
            }
        }
        "drip" => {
            stream.write_all(HEAD).await?;
            while Instant::now() < until {
                stream.write_all(b".").await?;
                tokio::time::sleep(DRIP_EVERY).await;
            }
        }
        "garbage" => stream.write_all(b"\x00\xffSSH-2.0 HTTP/9 ok\r\n\x01\x02\r\n\r\n").await?,
        "reset" => stream.tcp().set_zero_linger()?,
        _ => stream.write_all(NOT_FOUND).await?,
    }
    Ok(())
}
