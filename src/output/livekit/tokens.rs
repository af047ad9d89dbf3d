//! The access tokens for joining a room: those of `output.token`, and the refreshed ones that the server sends.
//!
//! A token expires, and is often the only one that the user has. So a server sends each participant a newer one every few minutes, for
//! the case that the room has to be rejoined.

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::error::{Code, Result, SpeakerError};
use crate::output::Question;
use crate::redact::redact;
use crate::secrets::Secrets;

/// A token, which is masked in logs while it is kept.
#[derive(Clone)]
pub struct Token(Arc<(String, Secrets)>);

/// The tokens of one session, which outlive its outputs.
#[derive(Clone)]
pub struct Tokens {
    source: Question,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    /// The source's token with which the room was joined.
    entered: Option<TokenHash>,
    /// The server's refreshed token for the participant that used it.
    refreshed: Option<Token>,
    /// True if the refreshed token is for another room, to which the server has moved us.
    moved: bool,
    /// The tokens that were refused since the user last asked to connect.
    refused: HashSet<TokenHash>,
    /// The server's last refusal, masked.
    refusal: String,
    hasher: RandomState,
}

/// A hash by which a token is recognized without being kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct TokenHash(u64);

impl Tokens {
    /// Creates the tokens of a source.
    pub fn new(source: Question) -> Self {
        Self { source, known: Arc::default() }
    }

    /// Returns the tokens to try in order, within `limit` from `begun`. On the `first` join, at the user's request, the source's token
    /// comes first; to reconnect, a refreshed token of the same source token does. Tokens that were refused before are left out.
    pub async fn ask(&self, first: bool, begun: Instant, limit: Duration) -> Result<Vec<Token>> {
        let (own, moved) = self.known.lock().begin(first);
        if moved {
            return Ok(own.into_iter().collect());
        }
        // If there is another token to fall back on, time is left to use it.
        let source_timeout = if own.is_some() && !first { limit / 2 } else { limit };
        let late = || format!("output.token gave none within {} ms (connectTimeoutMs)", source_timeout.as_millis());
        let given = timeout_at(begun + source_timeout, (self.source)()).await.unwrap_or_else(|_| Err(late()));
        self.known.lock().choose(first, given.map(Token::new))
    }

    /// Notes that the room was joined with this token.
    pub fn entered(&self, token: &str) {
        let mut known = self.known.lock();
        if known.refreshed.as_deref() != Some(token) {
            (known.entered, known.refreshed) = (Some(known.hash(token)), None);
        }
    }

    /// Stores a newer token from the server.
    pub fn refresh(&self, token: &str) {
        self.known.lock().refreshed = Some(Token::new(token.to_owned()));
    }

    /// Stores the token of another room, to which the server has moved us.
    pub fn moved(&self, token: &str) {
        let mut known = self.known.lock();
        known.refreshed = Some(Token::new(token.to_owned()));
        known.moved = true;
    }

    /// Notes that the server refused this token, and why.
    pub fn refuse(&self, token: &str, why: &SpeakerError) {
        let mut known = self.known.lock();
        let hash = known.hash(token);
        known.refused.insert(hash);
        known.refusal.clone_from(&why.message);
    }

    /// Returns the error for when all tokens were refused before.
    pub fn none_left(&self) -> SpeakerError {
        let refusal = &self.known.lock().refusal;
        let message =
            format!("Expected an access token that was not refused yet but received those alone that were: {refusal}");
        SpeakerError::new(Code::JoinFailed, message)
    }
}

impl Known {
    /// Returns the refreshed token if it may still work, and whether it is the only one that leads to the current room.
    fn begin(&mut self, first: bool) -> (Option<Token>, bool) {
        if first {
            self.refused.clear();
            // A user who connects again does not ask for the room to which somebody was moved.
            if std::mem::take(&mut self.moved) {
                self.refreshed = None;
            }
        }
        (self.refreshed.clone().filter(|token| !self.is_refused(token)), self.moved)
    }

    fn choose(&mut self, first: bool, given: std::result::Result<Token, String>) -> Result<Vec<Token>> {
        let given = match given {
            Ok(given) => given,
            // The refreshed token may work even if the source fails.
            Err(reason) => {
                let own = self.refreshed.clone().filter(|token| !first && !self.is_refused(token));
                return own.map(|own| vec![own]).ok_or_else(|| SpeakerError::new(Code::JoinFailed, redact(&reason)));
            }
        };
        let same = self.entered == Some(self.hash(&given));
        if first && !same {
            self.refreshed = None;
        }
        let mut tokens = vec![given];
        tokens.extend(self.refreshed.clone());
        if same && !first {
            tokens.reverse();
        }
        tokens.retain(|token| !self.is_refused(token));
        Ok(tokens)
    }

    fn is_refused(&self, token: &str) -> bool {
        self.refused.contains(&self.hash(token))
    }

    fn hash(&self, token: &str) -> TokenHash {
        TokenHash(self.hasher.hash_one(token))
    }
}

impl Token {
    fn new(token: String) -> Self {
        let secrets = Secrets::of(&token);
        Self(Arc::new((token, secrets)))
    }
}

impl std::ops::Deref for Token {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the chosen tokens when the source gives `given`.
    fn choose(known: &mut Known, first: bool, given: std::result::Result<&str, &str>) -> Vec<String> {
        let given = given.map(|token| Token::new(token.to_owned())).map_err(str::to_owned);
        let tokens = match known.begin(first) {
            (own, true) => own.into_iter().collect(),
            (_, false) => known.choose(first, given).unwrap_or_default(),
        };
        tokens.iter().map(|token| token.to_string()).collect()
    }

    fn tokens(known: Known) -> Tokens {
        let source: Question = Arc::new(|| Box::pin(async { Ok("given".to_owned()) }));
        Tokens { source, known: Arc::new(Mutex::new(known)) }
    }

    /// Returns the state of a session that joined with `given` and was sent `refreshed`.
    fn refreshed() -> Known {
        let tokens = tokens(Known::default());
        assert_eq!(choose(&mut tokens.known.lock(), true, Ok("given")), ["given"]);
        tokens.entered("given");
        tokens.refresh("refreshed");
        std::mem::take(&mut *tokens.known.lock())
    }

    #[test]
    fn rejoins_with_refreshed_token() {
        assert_eq!(choose(&mut refreshed(), false, Ok("given")), ["refreshed", "given"]);
        assert_eq!(choose(&mut refreshed(), false, Ok("another")), ["another", "refreshed"]);
        assert_eq!(choose(&mut refreshed(), false, Err("no rights today")), ["refreshed"]);
        assert_eq!(choose(&mut Known::default(), false, Err("no rights today")), [""; 0]);
    }

    #[test]
    fn source_token_comes_first_on_connect() {
        assert_eq!(choose(&mut refreshed(), true, Ok("given")), ["given", "refreshed"]);
        assert_eq!(choose(&mut refreshed(), true, Ok("another")), ["another"]);
        assert_eq!(choose(&mut refreshed(), true, Err("no rights today")), [""; 0]);
    }

    #[test]
    fn refused_token_is_not_retried() {
        let tokens = tokens(refreshed());
        tokens.refuse("given", &SpeakerError::new(Code::JoinFailed, "no"));
        assert_eq!(choose(&mut tokens.known.lock(), false, Ok("given")), ["refreshed"]);
        tokens.refuse("refreshed", &SpeakerError::new(Code::JoinFailed, "no"));
        assert_eq!(choose(&mut tokens.known.lock(), false, Ok("given")), [""; 0]);
        assert_eq!(choose(&mut tokens.known.lock(), false, Err("no rights today")), [""; 0]);
        assert_eq!(choose(&mut tokens.known.lock(), false, Ok("another")), ["another"]);
        assert_eq!(choose(&mut tokens.known.lock(), true, Ok("another")), ["another"]);
        tokens.refuse("another", &SpeakerError::new(Code::JoinFailed, "no"));
        assert_eq!(choose(&mut tokens.known.lock(), true, Ok("another")), ["another"]);
    }

    #[test]
    fn refreshed_token_belongs_to_its_original() {
        let tokens = tokens(refreshed());
        tokens.entered("refreshed");
        assert_eq!(choose(&mut tokens.known.lock(), false, Ok("given")), ["refreshed", "given"]);
        tokens.entered("another");
        assert_eq!(choose(&mut tokens.known.lock(), false, Ok("given")), ["given"]);
        tokens.refresh("another-refreshed");
        assert_eq!(choose(&mut tokens.known.lock(), false, Ok("another")), ["another-refreshed", "another"]);
        assert_eq!(choose(&mut tokens.known.lock(), false, Ok("given")), ["given", "another-refreshed"]);
    }

    #[test]
    fn moved_session_rejoins_the_new_room() {
        let tokens = tokens(refreshed());
        tokens.moved("moved");
        assert_eq!(choose(&mut tokens.known.lock(), false, Ok("another")), ["moved"]);
        tokens.refresh("newer");
        assert_eq!(choose(&mut tokens.known.lock(), false, Ok("given")), ["newer"]);
        tokens.refuse("newer", &SpeakerError::new(Code::JoinFailed, "no"));
        assert_eq!(choose(&mut tokens.known.lock(), false, Ok("given")), [""; 0]);
        assert_eq!(choose(&mut tokens.known.lock(), true, Ok("given")), ["given"]);
    }

    #[tokio::test(start_paused = true)]
    async fn slow_source_leaves_time_for_refreshed_token() {
        let source: Question = Arc::new(|| Box::pin(std::future::pending()));
        let limit = Duration::from_secs(10);
        let tokens = Tokens { source, ..tokens(refreshed()) };
        let begun = Instant::now();
        assert_eq!(tokens.ask(false, begun, limit).await.unwrap()[0].to_string(), "refreshed");
        assert_eq!(begun.elapsed().as_secs(), 5);
        let begun = Instant::now();
        assert!(
            tokens
                .ask(true, begun, limit)
                .await
                .unwrap_err()
                .message
                .contains("output.token gave none within 10000 ms")
        );
    }

    #[test]
    fn token_is_masked_while_kept() {
        let token = Token::new("opaque-token-kept".to_owned());
        let show = || redact(&format!("{token:?} {}", &*token));
        assert_eq!(show(), "Token <masked>");
    }
}
