//! The access tokens with which a room may be joined: what `output.token` gives, and what the server made of it.
//!
//! A token is good for a while only, and often the only one that the user has. So a server sends whoever is in a room a newer one every
//! few minutes, for the day on which it must be joined anew.

use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::error::{Code, Result, SpeakerError};
use crate::redact::redact;
use crate::secrets::Secrets;

/// An access token, or why there is none.
pub type TokenAnswer = std::result::Result<String, String>;

/// Gives a token when asked: one that was made earlier may have expired, or never be needed.
pub type TokenSource = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = TokenAnswer> + Send>> + Send + Sync>;

/// A token, which is masked in whatever is shown while it is kept.
#[derive(Clone)]
pub struct Token(Arc<(String, Secrets)>);

/// The tokens of one session, which outlive its outputs.
#[derive(Clone)]
pub struct Tokens {
    source: TokenSource,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    /// What the source gave, with which the room was entered.
    entered: Option<Mark>,
    /// The server's own, for whoever did that.
    refreshed: Option<Token>,
    /// Whether that one is for another room, into which the server has moved us.
    moved: bool,
    /// Those that a server did not take since the user last asked to connect.
    refused: HashSet<Mark>,
    /// What a server said to the last of them, masked.
    refusal: String,
    marks: RandomState,
}

/// By which a token is known again, without being kept.
type Mark = u64;

impl Tokens {
    /// Those that a source gives.
    pub fn new(source: TokenSource) -> Self {
        Self { source, known: Arc::default() }
    }

    /// The tokens to be tried one after the other, from `begun` on, within `limit`. The `first` time, because the user asked for it, what
    /// the source gives comes first; to win a room back it is what the server gave to whoever had the same. None that was refused before.
    pub async fn ask(&self, first: bool, begun: Instant, limit: Duration) -> Result<Vec<Token>> {
        let (own, moved) = self.known.lock().begin(first);
        if moved {
            return Ok(own.into_iter().collect());
        }
        // Where there is one to fall back upon, time is left to use it.
        let patience = if own.is_some() && !first { limit / 2 } else { limit };
        let late = || format!("output.token gave none within {} ms (connectTimeoutMs)", patience.as_millis());
        let given = timeout_at(begun + patience, (self.source)()).await.unwrap_or_else(|_| Err(late()));
        self.known.lock().choose(first, given.map(Token::new))
    }

    /// The room was joined with this one.
    pub fn entered(&self, token: &str) {
        let mut known = self.known.lock();
        if known.refreshed.as_deref() != Some(token) {
            (known.entered, known.refreshed) = (Some(known.mark(token)), None);
        }
    }

    /// The server has sent a newer one.
    pub fn refresh(&self, token: &str) {
        self.known.lock().refreshed = Some(Token::new(token.to_owned()));
    }

    /// The server has moved us into another room, for which this one is.
    pub fn moved(&self, token: &str) {
        let mut known = self.known.lock();
        known.refreshed = Some(Token::new(token.to_owned()));
        known.moved = true;
    }

    /// The server does not take this one; what it said.
    pub fn refuse(&self, token: &str, why: &SpeakerError) {
        let mut known = self.known.lock();
        let mark = known.mark(token);
        known.refused.insert(mark);
        known.refusal.clone_from(&why.message);
    }

    /// The error where all that there are were refused before.
    pub fn none_left(&self) -> SpeakerError {
        let refusal = &self.known.lock().refusal;
        let message =
            format!("Expected an access token that was not refused yet but received those alone that were: {refusal}");
        SpeakerError::new(Code::JoinFailed, message)
    }
}

impl Known {
    /// The server's own token if it may still do, and whether no other one will, because it leads elsewhere.
    fn begin(&mut self, first: bool) -> (Option<Token>, bool) {
        if first {
            self.refused.clear();
            // Who asks for a room again does not ask for the one into which somebody was moved.
            if std::mem::take(&mut self.moved) {
                self.refreshed = None;
            }
        }
        (self.refreshed.clone().filter(|token| !self.is_refused(token)), self.moved)
    }

    fn choose(&mut self, first: bool, given: std::result::Result<Token, String>) -> Result<Vec<Token>> {
        let given = match given {
            Ok(given) => given,
            // The server's word on whether we may come back counts too.
            Err(reason) => {
                let own = self.refreshed.clone().filter(|token| !first && !self.is_refused(token));
                return own.map(|own| vec![own]).ok_or_else(|| SpeakerError::new(Code::JoinFailed, redact(&reason)));
            }
        };
        let same = self.entered == Some(self.mark(&given));
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
        self.refused.contains(&self.mark(token))
    }

    fn mark(&self, token: &str) -> Mark {
        self.marks.hash_one(token)
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

    /// What is chosen when the source gives `given`.
    fn choose(known: &mut Known, first: bool, given: std::result::Result<&str, &str>) -> Vec<String> {
        let given = given.map(|token| Token::new(token.to_owned())).map_err(str::to_owned);
        let tokens = match known.begin(first) {
            (own, true) => own.into_iter().collect(),
            (_, false) => known.choose(first, given).unwrap_or_default(),
        };
        tokens.iter().map(|token| token.to_string()).collect()
    }

    fn tokens(known: Known) -> Tokens {
        let source: TokenSource = Arc::new(|| Box::pin(async { Ok("given".to_owned()) }));
        Tokens { source, known: Arc::new(Mutex::new(known)) }
    }

    /// Of one that joined with `given`, and was sent `refreshed`.
    fn refreshed() -> Known {
        let tokens = tokens(Known::default());
        assert_eq!(choose(&mut tokens.known.lock(), true, Ok("given")), ["given"]);
        tokens.entered("given");
        tokens.refresh("refreshed");
        std::mem::take(&mut *tokens.known.lock())
    }

    #[test]
    fn a_room_is_won_back_with_the_newer_token_unless_the_user_has_another() {
        assert_eq!(choose(&mut refreshed(), false, Ok("given")), ["refreshed", "given"]);
        assert_eq!(choose(&mut refreshed(), false, Ok("another")), ["another", "refreshed"]);
        assert_eq!(choose(&mut refreshed(), false, Err("no rights today")), ["refreshed"]);
        assert_eq!(choose(&mut Known::default(), false, Err("no rights today")), [""; 0]);
    }

    #[test]
    fn a_user_who_connects_again_is_asked_first() {
        assert_eq!(choose(&mut refreshed(), true, Ok("given")), ["given", "refreshed"]);
        assert_eq!(choose(&mut refreshed(), true, Ok("another")), ["another"]);
        assert_eq!(choose(&mut refreshed(), true, Err("no rights today")), [""; 0]);
    }

    #[test]
    fn what_was_refused_is_not_tried_again_until_the_user_connects() {
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
    fn what_the_server_made_of_a_token_goes_with_it() {
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
    fn who_was_moved_comes_back_to_where_it_was_moved_and_connects_where_it_wants() {
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
    async fn a_source_that_does_not_answer_leaves_time_for_the_newer_token() {
        let source: TokenSource = Arc::new(|| Box::pin(std::future::pending()));
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
    fn a_token_is_masked_while_it_is_kept() {
        let token = Token::new("opaque-token-kept".to_owned());
        let show = || redact(&format!("{token:?} {}", &*token));
        assert_eq!(show(), "Token <masked>");
    }
}
