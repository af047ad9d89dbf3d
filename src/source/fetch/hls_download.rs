//! Fetches the segments of an HLS stream, one after another, so that they are decoded as one body. A live stream is followed: its playlist
//! is fetched again as RFC 8216 §6.3.4 says.

use std::sync::Arc;

use aes::Aes128;
use cbc::cipher::{Block, BlockModeDecrypt, KeyIvInit};
use reqwest::Url;
use tokio::time::{Instant, sleep_until};
use tokio_util::bytes::Buf;

use super::cache::CACHE;
use super::hls::{self, Cipher, InheritedContext, MasterPlaylist, MediaPlaylist, Playlist, Resource, Segment};
use super::icy::Chunk;
use super::{Fetch, FetchLimits, NowPlaying, playlist};
use crate::error::{Code, Result, SpeakerError};
use crate::net::http;
use crate::source::spool::{BodyLength, Spool};

/// The most segments of a live stream that may be missing in a row.
const MAX_MISSED: u32 = 5;

/// The block size of the encryption.
const BLOCK: usize = 16;

/// A stream that is being fetched.
struct HlsDownload<'a> {
    fetch: &'a Fetch,
    limits: FetchLimits,
    spool: &'a Spool,
    /// The address of the playlist, which addresses are relative to; and the values passed on by the multivariant playlist.
    base: Url,
    inherited: InheritedContext,
    /// The last initialization section that was sent.
    init: Option<Arc<(Resource, Arc<Cipher>)>>,
    /// The last key, and its address.
    key: Option<(String, [u8; 16])>,
    title: Option<String>,
}

/// Fetches the playlist `text`, which is at `base`, into `spool`.
pub async fn run(text: &str, base: Url, fetch: &Fetch, limits: FetchLimits, spool: &Spool) -> Result<()> {
    let read = hls::parse(text, &base, &InheritedContext::default())?;
    let mut download = HlsDownload {
        fetch,
        limits,
        spool,
        base,
        inherited: InheritedContext::default(),
        init: None,
        key: None,
        title: None,
    };
    let mut playlist = match read {
        Playlist::Media(segments) => segments,
        Playlist::Master(MasterPlaylist { address, inherited }) => {
            download.base = download.resolve(&address)?;
            download.inherited = inherited;
            download.load_playlist().await?
        }
    };
    spool.announce(if playlist.is_ended { BodyLength::Unknown } else { BodyLength::Live })?;
    let (mut loaded, mut grown) = (Instant::now(), Instant::now());
    // A playback that asks for a position in a stream with an end counts from its start.
    let is_usual = playlist.is_ended && fetch.from_start;
    let (mut next, mut missed) = (if is_usual { playlist.usual_start() } else { playlist.start() }, 0);
    loop {
        while let Some(segment) = playlist.get(next) {
            next += 1;
            match download.send_segment(segment, next - 1).await {
                Ok(()) => missed = 0,
                // The server may have removed it while the playback was paused.
                Err(error) if !playlist.is_ended && missed < MAX_MISSED && is_skippable(&error) => {
                    missed += 1;
                    tracing::debug!(missed, reason = %error, "a segment of audioUrl is left out");
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        if playlist.is_ended && playlist.get(next).is_none() {
            return Ok(());
        }
        // Behind a missing segment too: a playlist that lists removed ones is not requested without a pause.
        let wait = if missed == 0 && grown == loaded { playlist.target_duration } else { playlist.target_duration / 2 };
        sleep_until(loaded + wait).await;
        let latest = download.load_playlist().await;
        loaded = Instant::now();
        match latest {
            Ok(latest) => {
                // Its server has restarted, or the next segment has been removed.
                let is_anew = latest.end() < playlist.end();
                if is_anew || latest.first > next {
                    next = latest.usual_start();
                }
                if latest.end() != playlist.end() || latest.is_ended {
                    grown = loaded;
                }
                playlist = latest;
            }
            Err(error) if error.code == Code::UrlBlocked => return Err(error),
            Err(error) => tracing::debug!(reason = %error, "the playlist of audioUrl was not fetched again"),
        }
        let reload_timeout = limits.timeout.max(playlist.target_duration * 3);
        if loaded - grown > reload_timeout {
            let (host, reload_timeout) = (http::host(&download.base), reload_timeout.as_millis());
            let message = format!(
                "Expected another segment within {reload_timeout} ms for audioUrl (fetchTimeoutMs) but received none from {host}"
            );
            return Err(SpeakerError::new(Code::FetchTimeout, message));
        }
    }
}

/// Returns true if a live stream may skip a segment that fails like this.
fn is_skippable(error: &SpeakerError) -> bool {
    matches!(error.code, Code::HttpStatus | Code::FetchFailed | Code::FetchTimeout | Code::Truncated)
}

impl HlsDownload<'_> {
    fn resolve(&self, address: &str) -> Result<Url> {
        let url = self.base.join(address).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        url.ok_or_else(|| {
            let message = "Expected http(s) addresses in the playlist of audioUrl but received another";
            SpeakerError::new(Code::FetchFailed, message)
        })
    }

    /// Fetches the playlist of segments.
    async fn load_playlist(&mut self) -> Result<MediaPlaylist> {
        let mut body = CACHE.begin(self.fetch.at(&self.base, None), self.limits).await?;
        let text = playlist::text(&mut body).await?;
        self.base = body.url.clone();
        match hls::parse(&text, &self.base, &self.inherited)? {
            Playlist::Media(segments) => Ok(segments),
            Playlist::Master(_) => {
                let message = "Expected segments in an HLS playlist for audioUrl but received more variants";
                Err(SpeakerError::new(Code::UnsupportedFormat, message))
            }
        }
    }

    async fn send_segment(&mut self, segment: &Segment, number: u64) -> Result<()> {
        if segment.is_missing {
            return Ok(());
        }
        if segment.init != self.init {
            if let Some(init) = &segment.init {
                let (resource, cipher) = &**init;
                self.fetch_resource(resource, cipher, number).await?;
            }
            self.init.clone_from(&segment.init);
        }
        if segment.title.is_some() && segment.title != self.title {
            self.title.clone_from(&segment.title);
            self.spool.push_metadata(NowPlaying { title: segment.title.clone(), ..NowPlaying::default() });
        }
        self.fetch_resource(&segment.resource, &segment.cipher, number).await
    }

    /// Fetches a file, or a part of one, into the spool.
    async fn fetch_resource(&mut self, resource: &Resource, cipher: &Cipher, number: u64) -> Result<()> {
        let mut cipher = self.decryption(cipher, number).await?;
        let url = self.resolve(&resource.address)?;
        let mut body = CACHE.begin(self.fetch.at(&url, resource.range), self.limits).await?;
        // A server without support for ranges sends all of it.
        let (from, mut left) = resource.range.unwrap_or((0, u64::MAX));
        let host = http::host(&url);
        let mut before = from.checked_sub(body.starts_at).ok_or_else(|| {
            SpeakerError::new(
                Code::FetchFailed,
                format!("Expected a part of a file from {from} on but received another from {host}"),
            )
        })?;
        while left > 0
            && let Some(piece) = body.next().await?
        {
            let Chunk::Bytes(mut bytes) = piece else { continue };
            let skipped = before.min(bytes.len() as u64);
            before -= skipped;
            bytes.advance(skipped as usize);
            bytes.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            left -= bytes.len() as u64;
            match &mut cipher {
                None => self.spool.append(&bytes).await?,
                Some(cipher) => self.spool.append(&cipher.decrypt(&bytes)).await?,
            }
        }
        if resource.range.is_some() && left > 0 {
            let message = format!(
                "the body of audioUrl ended early: a part of a file from {host} has fewer bytes than its playlist says"
            );
            return Err(SpeakerError::new(Code::Truncated, message));
        }
        match cipher {
            None => Ok(()),
            Some(cipher) => self.spool.append(&cipher.finish()?).await,
        }
    }

    async fn decryption(&mut self, cipher: &Cipher, number: u64) -> Result<Option<Decryption>> {
        let (address, iv) = match cipher {
            Cipher::None => return Ok(None),
            Cipher::Aes128 { key, iv } => (key, iv.unwrap_or_else(|| u128::from(number).to_be_bytes())),
            Cipher::Other(method) => {
                let message = format!(
                    "Expected segments that are plain or encrypted by AES-128 for audioUrl but received {method}"
                );
                return Err(SpeakerError::new(Code::UnsupportedFormat, message));
            }
        };
        let key = match &self.key {
            Some((known, key)) if known == address => *key,
            _ => {
                let url = self.resolve(address)?;
                let mut body = CACHE.begin(self.fetch.at(&url, None), self.limits).await?;
                let bytes = body.peek(BLOCK + 1).await?;
                let key = bytes.try_into().map_err(|bytes: Vec<u8>| {
                    let message =
                        format!("Expected a key of {BLOCK} bytes for audioUrl but received {} or more", bytes.len());
                    SpeakerError::new(Code::UnsupportedFormat, message)
                })?;
                self.key = Some((address.clone(), key));
                key
            }
        };
        let mode = cbc::Decryptor::new(&key.into(), &iv.into());
        Ok(Some(Decryption { mode, held: Vec::new() }))
    }
}

/// Undoes AES-128-CBC with the padding of PKCS #7, as the bytes arrive.
struct Decryption {
    mode: cbc::Decryptor<Aes128>,
    /// An incomplete block, and the last block, which may be padding.
    held: Vec<u8>,
}

impl Decryption {
    fn decrypt(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        let whole = self.held.len().saturating_sub(1) / BLOCK * BLOCK;
        let rest = self.held.split_off(whole);
        let mut bytes = std::mem::replace(&mut self.held, rest);
        for block in bytes.chunks_exact_mut(BLOCK) {
            let block: &mut Block<Aes128> = block.try_into().expect("a whole block");
            self.mode.decrypt_block(block);
        }
        bytes
    }

    fn finish(mut self) -> Result<Vec<u8>> {
        let broken = || {
            let message = "Expected a segment that its key decrypts for audioUrl but received another";
            SpeakerError::new(Code::Decode, message)
        };
        let mut last: [u8; BLOCK] = self.held.try_into().map_err(|_| broken())?;
        self.mode.decrypt_block((&mut last).into());
        let padding = usize::from(last[BLOCK - 1]);
        let is_padded =
            (1..=BLOCK).contains(&padding) && last[BLOCK - padding..].iter().all(|byte| usize::from(*byte) == padding);
        if is_padded { Ok(last[..BLOCK - padding].to_vec()) } else { Err(broken()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decrypts_segments_for_any_chunks() {
        // NIST SP 800-38A, F.2.1: CBC-AES128, the first two blocks, and a block of padding made with OpenSSL.
        let key = 0x2b7e_1516_28ae_d2a6_abf7_1588_09cf_4f3c_u128.to_be_bytes();
        let iv = 0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f_u128.to_be_bytes();
        let decoded = [0x6bc1_bee2_2e40_9f96_e93d_7e11_7393_172a_u128, 0xae2d_8a57_1e03_ac9c_9eb7_6fac_45af_8e51];
        let decoded: Vec<u8> = decoded.iter().flat_map(|block| block.to_be_bytes()).collect();
        let sealed =
            [0x7649_abac_8119_b246_cee9_8e9b_12e9_197d_u128, 0x5086_cb9b_5072_19ee_95db_113a_9176_78b2, PADDING];
        let sealed: Vec<u8> = sealed.iter().flat_map(|block| block.to_be_bytes()).collect();
        let begin = || Decryption { mode: cbc::Decryptor::new(&key.into(), &iv.into()), held: Vec::new() };
        for size in [1, 7, 16, 17, 48] {
            let mut cipher = begin();
            let mut out: Vec<u8> = sealed.chunks(size).flat_map(|chunk| cipher.decrypt(chunk)).collect();
            out.extend(cipher.finish().unwrap());
            assert_eq!(out, decoded, "{size}");
        }
        for length in [0, 1, 16, 32, 47] {
            let mut cipher = begin();
            cipher.decrypt(&sealed[..length]);
            assert_eq!(cipher.finish().unwrap_err().code, Code::Decode, "{length}");
        }
    }

    const PADDING: u128 = 0x55e2_1d71_00b9_88ff_ec32_feea_faf2_3538;
}
