//! The packets that wait for their time, in order of time.

use std::collections::VecDeque;

/// The limits of what may wait: more than a second at any bitrate.
const MAX_PACKETS: usize = 128;
const MAX_BYTES: usize = 64 << 10;

/// An encoded frame that waits.
pub struct Packet {
    pub time: i64,
    /// The length in samples.
    pub length: usize,
    pub number: i64,
    /// True for a redundant copy from another packet.
    pub is_copy: bool,
    /// True if the gap before it is silence and not loss, because the sender starts or resumes with it.
    pub begins: bool,
    /// True if the decoder has to be reset before it.
    pub is_fresh: bool,
    pub data: Box<[u8]>,
}

impl Packet {
    /// Returns the time of its end.
    pub fn end(&self) -> i64 {
        self.time + self.length as i64
    }
}

#[derive(Default)]
pub struct PacketBuffer {
    packets: VecDeque<Packet>,
    bytes: usize,
}

impl PacketBuffer {
    /// Inserts a packet in order. A duplicate is dropped, and a copy is replaced by the original. Returns the end of the last packet that
    /// was dropped because there are too many.
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

    /// Returns the memory that it takes, in bytes.
    pub fn bytes(&self) -> usize {
        self.packets.capacity() * size_of::<Packet>() + self.bytes
    }
}
