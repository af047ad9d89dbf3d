//! Any channel layout to mono or stereo.
//!
//! The rule is ITU-R BS.775-4 Annex 4: fronts at full level, centre and surrounds at −3 dB into their side, no LFE. The result is as loud
//! as from ffmpeg or a browser; peaks over full scale are left to the limiter. Mono is the mean of left and right. A single channel goes to
//! both sides unchanged; channels without positions alternate left, right.

use symphonia::core::audio::{Channels, Position};

use super::decode::bounded;

/// −3 dB.
const SURROUND: f32 = std::f32::consts::FRAC_1_SQRT_2;

/// The coefficients of one layout: `rows[output][input]`.
pub struct Downmix {
    rows: Vec<Vec<f32>>,
    inputs: usize,
}

impl Downmix {
    /// # Panics
    /// If `from` has no channel, or `outputs` is not 1 or 2.
    pub fn new(from: &Channels, outputs: usize) -> Self {
        assert!((1..=2).contains(&outputs), "the session is mono or stereo");
        let sides = sides(from);
        let side = |side: usize| sides.iter().map(|pair| pair[side]).collect::<Vec<_>>();
        let (left, right) = (side(0), side(1));
        let rows = match outputs {
            1 => vec![left.iter().zip(&right).map(|(l, r)| (l + r) / 2.0).collect()],
            _ => vec![left, right],
        };
        Self { rows, inputs: sides.len() }
    }

    /// Mixes interleaved `input` down and appends it, interleaved, to `output`.
    pub fn process(&self, input: &[f32], output: &mut Vec<f32>) {
        if let ([row], 2) = (&*self.rows, self.inputs) {
            // Stereo to mono, by far the most common case: several times faster this way.
            let [left, right] = [row[0], row[1]];
            output.extend(input.as_chunks().0.iter().map(|[l, r]| left * l + right * r));
            return;
        }
        for frame in input.chunks_exact(self.inputs) {
            for row in &self.rows {
                let sum = row.iter().zip(frame).map(|(coefficient, sample)| coefficient * sample).sum::<f32>();
                output.push(bounded(sum));
            }
        }
    }

    /// Returns true if the output equals the input.
    pub fn is_identity(&self) -> bool {
        let one = |row: usize, column: usize| self.rows[row][column] == f32::from(u8::from(row == column));
        self.rows.len() == self.inputs && (0..self.inputs).all(|row| (0..self.inputs).all(|column| one(row, column)))
    }
}

/// Returns the levels at which each channel goes left and right.
fn sides(channels: &Channels) -> Vec<[f32; 2]> {
    match channels {
        Channels::Positioned(positions) if positions.bits().count_ones() > 1 => positions.iter().map(side_of).collect(),
        _ if channels.count() == 1 => vec![[1.0, 1.0]],
        _ => {
            // No standard gives a level: full scale on all of them stays full scale.
            let share = 1.0 / channels.count().div_ceil(2) as f32;
            (0..channels.count()).map(|index| if index % 2 == 0 { [share, 0.0] } else { [0.0, share] }).collect()
        }
    }
}

fn side_of(position: Position) -> [f32; 2] {
    let left = Position::REAR_LEFT
        | Position::SIDE_LEFT
        | Position::TOP_FRONT_LEFT
        | Position::TOP_REAR_LEFT
        | Position::TOP_SIDE_LEFT
        | Position::BOTTOM_FRONT_LEFT;
    let right = Position::REAR_RIGHT
        | Position::SIDE_RIGHT
        | Position::TOP_FRONT_RIGHT
        | Position::TOP_REAR_RIGHT
        | Position::TOP_SIDE_RIGHT
        | Position::BOTTOM_FRONT_RIGHT;
    let front_left = Position::FRONT_LEFT | Position::FRONT_LEFT_CENTER | Position::FRONT_LEFT_WIDE;
    let front_right = Position::FRONT_RIGHT | Position::FRONT_RIGHT_CENTER | Position::FRONT_RIGHT_WIDE;
    match position {
        p if front_left.contains(p) => [1.0, 0.0],
        p if front_right.contains(p) => [0.0, 1.0],
        p if left.contains(p) => [SURROUND, 0.0],
        p if right.contains(p) => [0.0, SURROUND],
        p if (Position::LFE1 | Position::LFE2).contains(p) => [0.0, 0.0],
        Position::FRONT_CENTER => [SURROUND, SURROUND],
        _ => [SURROUND * SURROUND, SURROUND * SURROUND], // rear and top centres: −3 dB, then shared
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use symphonia::core::audio::layouts::{CHANNEL_LAYOUT_5P1, CHANNEL_LAYOUT_MONO, CHANNEL_LAYOUT_STEREO};

    fn mix(from: &Channels, outputs: usize, frame: &[f32]) -> Vec<f32> {
        let mut output = Vec::new();
        Downmix::new(from, outputs).process(frame, &mut output);
        output
    }

    #[test]
    fn mono_and_stereo_convert_to_each_other() {
        assert_eq!(mix(&CHANNEL_LAYOUT_MONO, 1, &[0.3, -0.7]), [0.3, -0.7]);
        assert_eq!(mix(&CHANNEL_LAYOUT_STEREO, 2, &[0.3, -0.7]), [0.3, -0.7]);
        assert_eq!(mix(&CHANNEL_LAYOUT_MONO, 2, &[0.25]), [0.25, 0.25]);
        assert_eq!(mix(&CHANNEL_LAYOUT_STEREO, 1, &[0.5, -0.25]), [0.125]);
    }

    #[test]
    fn surround_is_mixed_to_stereo() {
        // Channels in order: front left, front right, centre, LFE, rear left, rear right.
        for (channel, left, right) in [
            (0, 1.0, 0.0),
            (1, 0.0, 1.0),
            (2, SURROUND, SURROUND),
            (3, 0.0, 0.0),
            (4, SURROUND, 0.0),
            (5, 0.0, SURROUND),
        ] {
            let mut frame = [0.0; 6];
            frame[channel] = 1.0;
            assert_eq!(mix(&CHANNEL_LAYOUT_5P1, 2, &frame), [left, right], "{channel}");
            assert_eq!(mix(&CHANNEL_LAYOUT_5P1, 1, &frame), [(left + right) / 2.0], "{channel}");
        }
    }

    #[test]
    fn channels_without_positions_alternate() {
        assert_eq!(mix(&Channels::Discrete(4), 2, &[1.0, 0.0, 1.0, 0.0]), [1.0, 0.0]);
        assert_eq!(mix(&Channels::Discrete(3), 1, &[1.0, 1.0, 1.0]), [0.75]);
    }
}
