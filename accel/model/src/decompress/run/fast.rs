//! A block's tokens, many at a time, where neither the input nor the room ends
//! soon. Whatever else happens is left to `tokens`, which meets it again.
//!
//! The time goes into a chain of lookups: an entry says how long its code is,
//! and only then the next one can be looked up. So nothing stands between the
//! two but a shift and a mask; refills, values and checks run beside them.

use super::{Halt, Run, Source};
use crate::decompress::bits::{Bits, REFILL};
use crate::decompress::state::Pending;
use crate::decompress::tables::{DistanceTable, LiteralTable, entry};
use crate::decompress::window::Window;
use pagepress_abi::aecs;

/// Literals that are decoded between two looks at the input and at the room.
const LITERALS: u32 = 4;

// A refill is good for that many with short codes and the next lookup.
const _: () = assert!((LITERALS + 1) * LiteralTable::BITS <= REFILL);
// Another one is good for a match, and for the next lookup too if the
// distance's code is short.
const _: () = assert!(15 + 5 + 15 + 13 <= REFILL);
const _: () = assert!(15 + 5 + DistanceTable::BITS + 13 + LiteralTable::BITS <= REFILL);

impl Run<'_, '_> {
    /// Decodes tokens while there is plenty of input and of room. The token at
    /// which it stops is left for [`Run::token`].
    #[inline(never)]
    pub(super) fn many(&mut self) -> Result<(), Halt> {
        let tables = match self.source {
            Source::Fixed => self.fixed,
            Source::Header | Source::Aecs => &*self.own,
        };
        let (literals, distances) = (&tables.literals, &tables.distances);
        let begin = self.window.at();
        let limit = self.room_left().saturating_add(begin as u64);
        // The last token of a turn begins before the limit.
        let end = (Window::END as u64)
            .min(limit)
            .saturating_sub(u64::from(LITERALS) - 1) as usize;
        let mut window = self.window.cursor();
        self.bits.refill();
        let Bits {
            mut buf,
            mut count,
            mut src,
            ..
        } = self.bits;
        let mut last_distance = 0;

        // Of `count`, only the low six bits mean something, so that a whole
        // entry can be taken from it.
        macro_rules! refill {
            () => {
                let Some(word) = src.first_chunk() else {
                    break;
                };
                buf |= u64::from_le_bytes(*word) << (count & 63);
                src = &src[bytes_taken(count)..];
                count |= 56;
            };
        }
        // Looked up as soon as its bits are there: all else waits for it.
        let mut entry = literals.get_short(buf);
        macro_rules! literal {
            () => {
                window.push(entry::value(entry) as u8);
                buf >>= entry::bits(entry);
                count = count.wrapping_sub(entry);
            };
        }
        macro_rules! next {
            () => {
                entry = literals.get_short(buf);
            };
        }
        while window.at < end {
            refill!();
            if entry & entry::LITERAL != 0 {
                literal!();
                next!();
                if entry & entry::LITERAL != 0 {
                    literal!();
                    next!();
                    if entry & entry::LITERAL != 0 {
                        literal!();
                        next!();
                        if entry & entry::LITERAL != 0 {
                            literal!();
                            next!();
                            continue;
                        }
                    }
                }
            }
            refill!();
            if entry & entry::SPECIAL != 0 {
                if entry & entry::LONGER == 0 {
                    break;
                }
                entry = literals.get_long(entry, buf);
                if entry & entry::LITERAL != 0 {
                    literal!();
                    next!();
                    continue;
                }
                if entry & entry::SPECIAL != 0 {
                    break;
                }
            }
            // Nothing is taken unless the whole match is sound.
            let len = entry::value_in(entry, buf);
            let after = buf >> entry::bits(entry);
            let mut distance_entry = distances.get_short(after);
            let is_longer = distance_entry & entry::LONGER != 0;
            if is_longer {
                distance_entry = distances.get_long(distance_entry, after);
            }
            if distance_entry & entry::SPECIAL != 0 {
                break;
            }
            let distance = entry::value_in(distance_entry, after);
            if distance > aecs::HISTORY || distance > window.at {
                break;
            }
            buf = after >> entry::bits(distance_entry);
            count = count.wrapping_sub(entry).wrapping_sub(distance_entry);
            next!();
            window.copy(len, distance);
            last_distance = distance;
            if is_longer {
                refill!();
                next!();
            }
        }

        let at = window.at;
        self.window.set(at);
        self.bits.buf = buf;
        self.bits.count = count & 63;
        self.bits.src = src;
        self.state.has_output |= at != begin;
        // Only a match can have gone too far.
        if let Some(too_far @ 1..) = (at as u64).checked_sub(limit) {
            self.window.set(limit as usize);
            self.state.pending = Pending {
                len: too_far as usize,
                distance: last_distance,
            };
            return Err(Halt::Output);
        }
        Ok(())
    }
}

/// How many bytes a refill takes when the low six bits of `count` say how many
/// bits there are.
#[inline(always)]
fn bytes_taken(count: u32) -> usize {
    (!count as usize & 63) / 8
}
