//! One line of the log.

use std::fmt::{self, Debug, Display};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value as Json, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime as Stamp};

use crate::redact::{MAX_MESSAGE_CHARS, redact_to};
use crate::scope::Scope;
use crate::secrets;

/// The field of the message, by the name that tracing gives it.
const MESSAGE_FIELD: &str = "message";

/// The target of lines about the log itself.
const LOG_TARGET: &str = "speaker_session::log";

/// The field of a request whose scope is not entered.
const REQUEST_FIELD: &str = "request_id";

/// A line in which secrets in use are already masked, because they may be forgotten before it is shown. What only looks like a secret is
/// masked then.
#[derive(Clone)]
pub struct Line {
    pub level: Level,
    target: String,
    time: SystemTime,
    pub session: Option<u32>,
    request: Option<Arc<str>>,
    message: String,
    fields: Vec<(&'static str, Value)>,
}

#[derive(Clone)]
enum Value {
    Text(String),
    /// The output of `Debug` or `Display`.
    Shown(String),
    Number(f64),
    Flag(bool),
}

impl Line {
    pub fn of(event: &Event<'_>) -> Self {
        let scope = Scope::current();
        let mut line = Self {
            level: *event.metadata().level(),
            target: event.metadata().target().to_owned(),
            time: SystemTime::now(),
            session: scope.session(),
            request: scope.request().cloned(),
            message: String::new(),
            fields: Vec::new(),
        };
        event.record(&mut line);
        line
    }

    /// Creates a warning about the log itself.
    pub fn about_the_log(message: String) -> Self {
        Self {
            level: Level::WARN,
            target: LOG_TARGET.to_owned(),
            time: SystemTime::now(),
            session: None,
            request: None,
            message,
            fields: Vec::new(),
        }
    }

    /// Returns the memory that it takes, in bytes.
    pub fn cost(&self) -> usize {
        let fields = self.fields.iter().map(|(_, value)| match value {
            Value::Text(text) | Value::Shown(text) => text.len(),
            Value::Number(_) | Value::Flag(_) => 0,
        });
        size_of::<Self>() + self.target.len() + self.message.len() + fields.map(|bytes| bytes + 32).sum::<usize>()
    }

    /// Converts it for JavaScript.
    pub fn into_json(self) -> Json {
        let ms = self.time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1_000.0;
        let mut json = Map::new();
        for (name, value) in self.fields {
            json.insert(camel_case(name), value.into_json(name));
        }
        // After the fields, so that none of those replaces them.
        json.insert("time".to_owned(), json!(ms));
        json.insert("level".to_owned(), json!(self.level.as_str().to_ascii_lowercase()));
        json.insert("target".to_owned(), json!(self.target));
        json.insert("message".to_owned(), json!(redact_to(&self.message, MAX_MESSAGE_CHARS)));
        if let Some(session) = self.session {
            json.insert("session".to_owned(), json!(session));
        }
        if let Some(name) = self.request {
            json.insert("requestId".to_owned(), json!(&*name));
        }
        Json::Object(json)
    }

    fn add(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            (MESSAGE_FIELD, Value::Text(text) | Value::Shown(text)) => self.message = text,
            (REQUEST_FIELD, Value::Text(name)) => self.request = Some(name.into()),
            (name, value) => self.fields.push((name, value)),
        }
    }
}

impl Value {
    fn text(text: &str) -> Self {
        Self::Text(secrets::mask(text).into_owned())
    }

    fn shown(value: impl Display) -> Self {
        Self::Shown(secrets::mask(&value.to_string()).into_owned())
    }

    /// Converts it, without what looks like a secret, judged also by the name of the field.
    fn into_json(self, name: &str) -> Json {
        match self {
            Self::Text(text) | Self::Shown(text) => {
                let redacted = redact_to(&format!("{name}={text}"), MAX_MESSAGE_CHARS);
                json!(redacted.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')).unwrap_or(&redacted))
            }
            Self::Number(number) => json!(number),
            Self::Flag(flag) => json!(flag),
        }
    }
}

impl Visit for Line {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, Value::Number(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, Value::Number(value as f64));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, Value::Number(value as f64));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, Value::Flag(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, Value::text(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, Value::shown(format_args!("{value:?}")));
    }
}

/// The form for standard error.
impl Display for Line {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        Stamp.format_time(&mut Writer::new(to))?;
        write!(to, " {:>5} {}:", self.level, self.target)?;
        if !self.message.is_empty() {
            write!(to, " {}", self.message)?;
        }
        if let Some(session) = self.session {
            write!(to, " session={session}")?;
        }
        if let Some(name) = &self.request {
            write!(to, " request_id={name:?}")?;
        }
        self.fields.iter().try_for_each(|(name, value)| match value {
            Value::Text(text) => write!(to, " {name}={text:?}"),
            Value::Shown(text) => write!(to, " {name}={text}"),
            Value::Number(number) => write!(to, " {name}={number}"),
            Value::Flag(flag) => write!(to, " {name}={flag}"),
        })
    }
}

/// Converts `at_ms` to `atMs`, as JavaScript names it.
fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut all, word| {
        let mut letters = word.chars();
        all.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        all.push_str(letters.as_str());
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Line {
        let fields = vec![
            ("at_ms", Value::Number(2.5)),
            ("password", Value::text("hunter2")),
            ("error", Value::shown("no such host at http://somebody:hunter22@host/?key=12345678")),
        ];
        Line { session: Some(7), request: Some("a".into()), fields, ..Line::about_the_log("a line".to_owned()) }
    }

    #[test]
    fn shows_a_line_without_secrets() {
        let mut json = line().into_json();
        assert!(json["time"].take().as_f64() > Some(1e12));
        let error = "no such host at http://<masked>@host/?key=<masked>";
        let expected = json!({ "atMs": 2.5, "password": "<masked>", "error": error, "time": null, "level": "warn", "message": "a line",
            "target": LOG_TARGET, "session": 7, "requestId": "a" });
        assert_eq!(json, Json::Object(expected.as_object().unwrap().clone()));
        let text = line().to_string();
        let text = text.split_once(' ').unwrap().1;
        let head = format!(" WARN {LOG_TARGET}: a line session=7 request_id=\"a\" at_ms=2.5 ");
        assert!(text.starts_with(&head), "{text}");
    }
}
