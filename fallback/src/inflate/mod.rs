//! Reads deflate blocks (RFC 1951) whose codes are known before the page: canned
//! pages, which have no header, and those with the fixed codes.
//!
//! The tables are made once, for all contexts and pages; libdeflate would make them for
//! every canned page. With the fixed codes, which it keeps, it is the faster one:
//! `benches/README.md` has both. Nothing is allocated for a page.

mod copy;
mod tables;

use crate::Corrupt;
use crate::huffman::FIXED;
use tables::{
    BAD, BITS, DISTANCE_BITS, DISTANCE_MORE, Distances, END, Entry, LONG, Literals, MATCH, MORE,
    OTHER,
};

/// Codes that pages are read with.
pub struct Known {
    literals: Literals,
    distances: Distances,
}

impl core::fmt::Debug for Known {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Known").finish_non_exhaustive()
    }
}

/// How a fixed block that is the last one begins: BFINAL 1, BTYPE 01.
const FIXED_HEADER: (u8, u32) = (0b011, 3);

impl Known {
    /// The codes of these lengths, one for each symbol, 0 for none.
    ///
    /// `None` if one of the two codes is incomplete or none at all, has symbols or
    /// lengths that deflate does not have, or lacks the end of block; or if the
    /// system has no memory.
    #[must_use]
    pub fn new(literal_lengths: &[u8], distance_lengths: &[u8]) -> Option<Self> {
        Some(Self {
            literals: Literals::new(literal_lengths)?,
            distances: Distances::new(distance_lengths)?,
        })
    }

    /// The codes of RFC 1951, 3.2.6. `None` if the system has no memory.
    #[must_use]
    pub fn fixed() -> Option<Self> {
        Self::new(&FIXED.0, &FIXED.1)
    }

    /// Bytes that it holds on the heap.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        self.literals.bytes() + self.distances.bytes()
    }

    /// Reads the block at the start of `src`, which has no header and must make
    /// exactly one page; how many bytes of `src` it had.
    ///
    /// # Errors
    /// [`Corrupt`] if it is no such block. `page` then holds unspecified bytes.
    pub fn decode(&self, src: &[u8], page: &mut [u8]) -> Result<usize, Corrupt> {
        self.decode_after(0, src, page)
    }

    /// The same of a stream of one block with the fixed codes, header included.
    /// `None` if `src` starts otherwise.
    ///
    /// That the codes are the [`fixed`](Self::fixed) ones is the caller's affair.
    pub fn decode_fixed(&self, src: &[u8], page: &mut [u8]) -> Option<Result<usize, Corrupt>> {
        let (header, bits) = FIXED_HEADER;
        let is_fixed = src
            .first()
            .is_some_and(|first| first % (1 << bits) == header);
        is_fixed.then(|| self.decode_after(bits, src, page))
    }

    fn decode_after(&self, bits: u32, src: &[u8], page: &mut [u8]) -> Result<usize, Corrupt> {
        let mut place = Place::default();
        place.refill(src);
        place.take(bits);
        let mut end = self.fast(src, page, &mut place);
        if end == End::Near {
            end = self.careful(src, page, &mut place);
        }
        // What follows the last byte of `src` is made up.
        let read = place.read();
        if read > src.len() {
            return Err(Corrupt::BadStream);
        }
        match end {
            End::OfBlock if place.out != page.len() => Err(Corrupt::ShortPage),
            End::OfBlock => Ok(read),
            End::TooLong => Err(Corrupt::LongPage),
            End::Bad | End::Near => Err(Corrupt::BadStream),
        }
    }
}

/// How far a page has been read.
#[derive(Clone, Copy, Default)]
struct Place {
    /// The next bits, lowest first.
    bits: u64,
    /// How many of them count, in the lowest eight bits. Those above may be there
    /// already.
    left: u32,
    /// Bytes of the source that are taken.
    at: usize,
    /// Bytes of the page that are made.
    out: usize,
}

impl Place {
    /// Makes it 56 bits or more, zeroes where the source has none.
    fn refill(&mut self, src: &[u8]) {
        let mut word = [0; 8];
        let rest = src.get(self.at..).unwrap_or_default();
        let there = rest.len().min(8);
        word[..there].copy_from_slice(&rest[..there]);
        self.at += self.add(word);
    }

    /// As many of these bytes as there is room for.
    #[inline(always)]
    fn add(&mut self, word: [u8; 8]) -> usize {
        self.bits |= u64::from_le_bytes(word) << (self.left & 63);
        let taken = !self.left >> 3 & 7;
        self.left |= 56;
        taken as usize
    }

    /// Takes away as many bits as the lowest six bits say. The two above are zero.
    #[inline(always)]
    fn take(&mut self, count: u32) {
        self.bits >>= count & 63;
        self.left = self.left.wrapping_sub(count);
    }

    /// Bytes of the source that have been read, the last one perhaps in part.
    fn read(&self) -> usize {
        self.at - (self.left as usize >> 3 & 7)
    }
}

/// What the bits between two places say.
#[inline(always)]
fn value(entry: Entry, bits: u64) -> usize {
    let below = bits & ((1 << (entry & 63)) - 1);
    (entry >> 16) as usize + (below >> (entry >> 8 & 15)) as usize
}

/// Why reading ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    OfBlock,
    /// The source or the page comes to its end.
    Near,
    TooLong,
    Bad,
}

/// Bytes of the source that a turn of the fast loop may look at: it takes seven, looks
/// at eight, and takes seven of these.
const SRC_ROOM: usize = 24;

/// Bytes of the page that a turn may write literals to: three times two, which begin
/// below eight for all that the compiler knows.
const PAGE_ROOM: usize = 9;

// What a refill must be enough for: a match behind two entries of literals, and to look
// up its distance, which is done before the next refill so as not to wait for it; then
// the distance, and to look up what follows.
const _: () = {
    // The most bits that a length or a distance has.
    let (length, distance) = (15 + 5, 15 + 13);
    assert!(2 * BITS + length + DISTANCE_BITS <= 56);
    assert!(distance + BITS <= 56);
};

impl Known {
    #[inline(always)]
    fn look(&self, p: &Place) -> Entry {
        self.literals.first[p.bits as usize % (1 << BITS)]
    }

    #[inline(always)]
    fn look_far(&self, p: &Place) -> Entry {
        self.distances.first[p.bits as usize % (1 << DISTANCE_BITS)]
    }

    /// The rest of a long code's.
    #[inline(always)]
    fn more(&self, entry: Entry, p: &mut Place) -> Entry {
        let entry = self.literals.second[(entry >> 16) as usize + p.bits as usize % MORE];
        p.take(entry);
        entry
    }

    /// The distance whose entry, looked up already, this is; `None` if it is none.
    #[inline(always)]
    fn distance(&self, entry: Entry, p: &mut Place) -> Option<usize> {
        let (mut entry, mut before) = (entry, p.bits);
        p.take(entry);
        if entry & MATCH == 0 {
            if entry & LONG != 0 {
                before = p.bits;
                let at = (entry >> 16) as usize + p.bits as usize % DISTANCE_MORE;
                entry = self.distances.second[at];
                p.take(entry);
            }
            if entry & BAD != 0 {
                return None;
            }
        }
        Some(value(entry, before))
    }

    /// Reads on until the block's end is near.
    #[inline(never)]
    fn fast(&self, src: &[u8], page: &mut [u8], place: &mut Place) -> End {
        let mut p = *place;
        let end = self.fast_from(src, page, &mut p);
        *place = p;
        end
    }

    #[inline(always)]
    fn fast_from(&self, src: &[u8], page: &mut [u8], p: &mut Place) -> End {
        // Entries are looked up early: before a refill and before a repeat is copied,
        // so as to wait for neither.
        let mut entry = self.look(p);
        loop {
            let Some(rest) = src.get(p.at..).and_then(<[u8]>::first_chunk::<SRC_ROOM>) else {
                return End::Near;
            };
            let Some(room) = page
                .get_mut(p.out..)
                .and_then(<[u8]>::first_chunk_mut::<PAGE_ROOM>)
            else {
                return End::Near;
            };
            let taken = p.add(eight(rest, 0));
            let mut before = p.bits;
            p.take(entry);
            if entry & OTHER == 0 {
                let mut made = put(entry, room, 0);
                entry = self.look(p);
                before = p.bits;
                p.take(entry);
                if entry & OTHER == 0 {
                    made += put(entry, room, made);
                    entry = self.look(p);
                    before = p.bits;
                    p.take(entry);
                    if entry & OTHER == 0 {
                        made += put(entry, room, made);
                        entry = self.look(p);
                        p.at += taken;
                        p.out += made;
                        continue;
                    }
                }
                p.out += made;
            }
            if entry & MATCH == 0 {
                if entry & LONG != 0 {
                    before = p.bits;
                    entry = self.more(entry, p);
                    if entry & OTHER == 0 {
                        page[p.out] = (entry >> 16) as u8;
                        entry = self.look(p);
                        p.out += 1;
                        p.at += taken;
                        continue;
                    }
                }
                if entry & MATCH == 0 {
                    p.at += taken;
                    return if entry & END != 0 {
                        End::OfBlock
                    } else {
                        End::Bad
                    };
                }
            }
            let far = self.look_far(p);
            p.at += taken + p.add(eight(rest, taken));
            let length = value(entry, before);
            let Some(distance) = self.distance(far, p) else {
                return End::Bad;
            };
            entry = self.look(p);
            if let Err(end) = copy::repeat(page, p.out, distance, length) {
                return end;
            }
            p.out += length;
        }
    }

    /// Reads on to the block's end.
    fn careful(&self, src: &[u8], page: &mut [u8], p: &mut Place) -> End {
        // Past its end, the source goes on with zeroes, but not for ever.
        while p.at <= src.len() + 8 {
            p.refill(src);
            let mut before = p.bits;
            let mut entry = self.look(p);
            p.take(entry);
            if entry & LONG != 0 {
                before = p.bits;
                entry = self.more(entry, p);
            }
            if entry & OTHER == 0 {
                let count = (entry >> 8) as usize & 3;
                let Some(room) = page.get_mut(p.out..p.out + count) else {
                    return End::TooLong;
                };
                room.copy_from_slice(&(entry >> 16).to_le_bytes()[..count]);
                p.out += count;
                continue;
            }
            if entry & END != 0 {
                return End::OfBlock;
            }
            if entry & BAD != 0 {
                return End::Bad;
            }
            let length = value(entry, before);
            p.refill(src);
            let Some(distance) = self.distance(self.look_far(p), p) else {
                return End::Bad;
            };
            if let Err(end) = copy::repeat(page, p.out, distance, length) {
                return end;
            }
            p.out += length;
        }
        End::Bad
    }
}

/// Eight of the bytes.
#[inline(always)]
fn eight(bytes: &[u8; SRC_ROOM], at: usize) -> [u8; 8] {
    let at = at & 15;
    core::array::from_fn(|i| bytes[at + i])
}

/// Writes an entry's literals at a place below eight; how many there are.
#[inline(always)]
fn put(entry: Entry, room: &mut [u8; PAGE_ROOM], at: usize) -> usize {
    let at = at & 7;
    room[at..at + 2].copy_from_slice(&((entry >> 16) as u16).to_le_bytes());
    (entry >> 8) as usize & 3
}
