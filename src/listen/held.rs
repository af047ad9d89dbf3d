//! The packets that wait for their time, in its order.

use std::collections::VecDeque;

/// So much waits at most: more than a second at any bitrate.
const MAX_PACKETS: usize = 128;
const MAX_BYTES: usize = 64 << 10;

/// An encoded frame that waits.
pub struct Packet {
    pub time: i64,
    /// In samples.
    pub length: usize,
    pub number: i64,
    /// It came as a copy in another.
    pub is_copy: bool,
    /// What is not sent before it is silence, and not lost: the sender begins or goes on with it.
    pub begins: bool,
    /// What the decoder knows is of no use to it.
    pub is_fresh: bool,
    pub data: Box<[u8]>,
}

impl Packet {
    /// When what it holds ends.
    pub fn end(&self) -> i64 {
        self.time + self.length as i64
    }
}

#[derive(Default)]
pub struct Held {
    packets: VecDeque<Packet>,
    bytes: usize,
}

impl Held {
    /// Puts a packet where it belongs. One that says the same as another is dropped, and a copy gives way. Returns the end of the
    /// last packet that had to go because there are too many.
    pub fn insert(&mut self, packet: Packet) -> Option<i64> {
        let at = self.packets.partition_point(|other| other.time < packet.time);
        match self.packets.get_mut(at).filter(|other| other.time == packet.time) {
            Some(other) if other.is_copy && !packet.is_copy => {
                self.bytes = self.bytes - other.data.len() + packet.data.len();
                *other = packet;
            }
            Some(_) => {}
            None => {
                self.bytes += packet.data.len();
                self.packets.insert(at, packet);
            }
        }
        let mut end = None;
        while self.packets.len() > MAX_PACKETS || self.bytes > MAX_BYTES {
            end = self.pop().map(|packet| packet.end());
        }
        end
    }

    pub fn first(&self) -> Option<&Packet> {
        self.packets.front()
    }

    pub fn pop(&mut self) -> Option<Packet> {
        let packet = self.packets.pop_front();
        self.bytes -= packet.as_ref().map_or(0, |packet| packet.data.len());
        packet
    }

    /// How much memory it takes, in bytes.
    pub fn bytes(&self) -> usize {
        self.packets.capacity() * size_of::<Packet>() + self.bytes
    }
}
