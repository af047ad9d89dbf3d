//! Environment variables as the JavaScript runtime has them.
//!
//! Node writes changes of `process.env` through to the process; Bun keeps them to itself, so there JavaScript passes the variables on.

use std::collections::HashMap;

use parking_lot::RwLock;

static PASSED: RwLock<Option<HashMap<String, String>>> = RwLock::new(None);

/// Passes the variables that hold from now on, instead of those of the process.
pub fn pass(variables: HashMap<String, String>) {
    *PASSED.write() = Some(variables);
}

/// Returns a variable, if it is set.
pub fn variable(name: &str) -> Option<String> {
    match &*PASSED.read() {
        Some(passed) => passed.get(name).cloned(),
        None => std::env::var(name).ok(),
    }
}
