//! Click-free edges, as pure functions of a playback's position: nothing to step, nothing to get out of step.

use crate::audio::{EDGE_FADE, Samples};

/// A rise from silence, linear in amplitude.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rise {
    pub from: Samples,
    pub length: Samples,
}

impl Rise {
    pub fn level(&self, position: Samples) -> f32 {
        match position.saturating_sub(self.from) {
            risen if risen >= self.length => 1.0,
            risen => risen as f32 / self.length as f32,
        }
    }
}

/// A fall to silence that ends at a known position.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fall {
    /// The first position that is silent.
    pub end: Samples,
    pub length: Samples,
    /// The level it falls from: below 1 when it takes over from another fall.
    pub from: f32,
}

impl Fall {
    /// Over the last samples before `end`, as short as [`EDGE_FADE`] or what lies between here and there.
    pub fn edge(here: Samples, end: Samples) -> Self {
        Self { end, length: (end - here).min(EDGE_FADE as Samples), from: 1.0 }
    }

    pub fn level(&self, position: Samples) -> f32 {
        match self.end.saturating_sub(position) {
            0 => 0.0,
            left if left >= self.length => self.from,
            left => self.from * left as f32 / self.length as f32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rise_starts_silent_and_stays_up() {
        let rise = Rise { from: 10, length: 4 };
        assert_eq!([9, 10, 11, 13, 14, 99].map(|p| rise.level(p)), [0.0, 0.0, 0.25, 0.75, 1.0, 1.0]);
        assert_eq!(Rise { from: 0, length: 0 }.level(0), 1.0);
    }

    #[test]
    fn a_fall_ends_silent_wherever_it_began() {
        let fall = Fall { end: 14, length: 4, from: 0.5 };
        assert_eq!([0, 10, 12, 13, 14, 99].map(|p| fall.level(p)), [0.5, 0.5, 0.25, 0.125, 0.0, 0.0]);
        assert_eq!(Fall::edge(5, 5).level(5), 0.0);
        assert_eq!(Fall::edge(100, 103).length, 3);
    }
}
