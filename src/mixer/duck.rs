//! Ducking: while a higher role sounds, the lower ones fall back, on all tracks. A role's level is a pure function of the
//! session's time, so a playback that starts meanwhile starts at the level of its role.

use super::ramp::Ramp;
use crate::audio::Samples;

/// The importance of a playback to its listener, from low to high.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Role {
    /// Gives way to everything.
    Ambient,
    /// Music and other sound; the default.
    #[default]
    Media,
    /// Speech.
    Voice,
    /// Gives way to nothing, and has a place of its own above `maxConcurrent`.
    System,
}

impl Role {
    /// From low to high.
    pub const ALL: [Self; 4] = [Self::Ambient, Self::Media, Self::Voice, Self::System];
}

/// The depth of ducking, and its speed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Duck {
    /// Linear.
    pub level: f32,
    /// The time from full to `level`; from a level between in proportion, so that the slope is always the same.
    pub attack: Samples,
    /// The time from `level` to full.
    pub release: Samples,
}

/// The levels of all roles.
pub struct Ducking {
    duck: Option<Duck>,
    levels: [Ramp; Role::ALL.len()],
}

impl Ducking {
    pub fn new(duck: Option<Duck>) -> Self {
        Self { duck, levels: [Ramp::flat(1.0); Role::ALL.len()] }
    }

    /// Sets the highest role that sounds from `now` on.
    pub fn update(&mut self, highest: Option<Role>, now: Samples) {
        let Some(Duck { level, attack, release }) = self.duck else { return };
        for (role, ramp) in Role::ALL.into_iter().zip(&mut self.levels) {
            let (to, full_length) = if highest > Some(role) { (level, attack) } else { (1.0, release) };
            if ramp.to != to {
                let length = full_length as f32 * (to - ramp.level(now)).abs() / (1.0 - level);
                *ramp = ramp.toward(to, now, length.round() as Samples);
            }
        }
    }

    /// Sets the highest role that sounds, and each level to where it goes: what sounded before is not known.
    pub fn settle(&mut self, highest: Option<Role>) {
        let Some(Duck { level, .. }) = self.duck else { return };
        for (role, ramp) in Role::ALL.into_iter().zip(&mut self.levels) {
            *ramp = Ramp::flat(if highest > Some(role) { level } else { 1.0 });
        }
    }

    /// Returns the level of a role over the session's time.
    pub fn level(&self, role: Role) -> Ramp {
        self.levels[role as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUCK: Duck = Duck { level: 0.25, attack: 300, release: 1_200 };

    fn levels(ducking: &Ducking, now: Samples) -> [f32; 4] {
        Role::ALL.map(|role| ducking.level(role).level(now))
    }

    #[test]
    fn higher_roles_duck_lower_ones() {
        for (highest, expected) in [
            (None, [1.0, 1.0, 1.0, 1.0]),
            (Some(Role::Ambient), [1.0, 1.0, 1.0, 1.0]),
            (Some(Role::Media), [0.25, 1.0, 1.0, 1.0]),
            (Some(Role::Voice), [0.25, 0.25, 1.0, 1.0]),
            (Some(Role::System), [0.25, 0.25, 0.25, 1.0]),
        ] {
            let mut ducking = Ducking::new(Some(DUCK));
            ducking.update(highest, 0);
            assert_eq!(levels(&ducking, 300), expected, "{highest:?}");
            let mut off = Ducking::new(None);
            off.update(highest, 0);
            assert_eq!(levels(&off, 300), [1.0; 4], "{highest:?} without ducking");
        }
    }

    #[test]
    fn attack_and_release_are_linear() {
        let mut ducking = Ducking::new(Some(DUCK));
        ducking.update(Some(Role::Voice), 1_000);
        let media = |ducking: &Ducking, now| ducking.level(Role::Media).level(now);
        assert_eq!([1_000, 1_100, 1_200, 1_300].map(|now| media(&ducking, now)), [1.0, 0.75, 0.5, 0.25]);
        ducking.update(None, 2_000);
        assert_eq!([2_000, 2_400, 3_200].map(|now| media(&ducking, now)), [0.25, 0.5, 1.0]);
    }

    #[test]
    fn interrupted_attack_turns_back_at_once() {
        let mut ducking = Ducking::new(Some(DUCK));
        let media = |ducking: &Ducking, now| ducking.level(Role::Media).level(now);
        ducking.update(Some(Role::System), 0);
        ducking.update(None, 200);
        assert_eq!([200, 600, 1_000, 5_000].map(|now| media(&ducking, now)), [0.5, 0.75, 1.0, 1.0]);
        ducking.update(Some(Role::Voice), 600);
        assert_eq!([600, 700, 800].map(|now| media(&ducking, now)), [0.75, 0.5, 0.25]);
        // A second role that ducks it makes it no lower, and the end of the first no louder.
        ducking.update(Some(Role::System), 900);
        ducking.update(Some(Role::Voice), 950);
        assert_eq!(media(&ducking, 2_000), 0.25);
    }

    #[test]
    fn duck_to_full_level_changes_nothing() {
        let mut ducking = Ducking::new(Some(Duck { level: 1.0, ..DUCK }));
        ducking.update(Some(Role::System), 0);
        assert_eq!(levels(&ducking, 150), [1.0; 4]);
    }
}
