//! Pages that are the same on every machine: made up, and no measure of what real
//! ones take, but fit to show that something takes more than it did.

use crate::PAGE;

/// So many pages, of all kinds in turn.
#[must_use]
pub fn pages(count: usize) -> Vec<Vec<u8>> {
    const KINDS: [fn(&mut Source, &mut Vec<u8>); 8] = [
        structs, strings, json, pointers, numbers, sparse, code, floats,
    ];
    let mut source = Source(0x2545_F491_4F6C_DD1D);
    (0..count)
        .map(|number| {
            let mut page = Vec::with_capacity(PAGE + 256);
            while page.len() < PAGE {
                KINDS[number % KINDS.len()](&mut source, &mut page);
            }
            page.truncate(PAGE);
            page
        })
        .collect()
}

/// Numbers that look random (xorshift64*).
struct Source(u64);

impl Source {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 32) % bound
    }

    /// Small ones more often, as lengths, counts and indices are.
    fn small(&mut self, bits: u64) -> u64 {
        let bits = 1 + self.below(bits);
        self.below(1 << bits)
    }

    fn word(&mut self) -> &'static str {
        const WORDS: [&str; 24] = [
            "page", "name", "user", "status", "active", "total", "of", "the", "a", "in", "value",
            "error", "request", "id", "time", "order", "and", "size", "free", "list", "Berlin",
            "to", "is", "memory",
        ];
        let at = self.below(24).min(self.below(24));
        WORDS[at as usize]
    }

    /// An address on a heap.
    fn address(&mut self) -> u64 {
        0x7F3A_1C00_0000 + (self.below(1 << 21) << 4)
    }
}

fn put(page: &mut Vec<u8>, number: u64, bytes: usize) {
    page.extend_from_slice(&number.to_le_bytes()[..bytes]);
}

/// An allocator's header, a type, a count, two addresses and flags.
fn structs(source: &mut Source, page: &mut Vec<u8>) {
    put(page, 0x41, 8);
    put(page, 0x55D0_8A3B_1C80 + 0x40 * source.below(3), 8);
    put(page, source.small(12), 8);
    for _ in 0..2 {
        let address = if source.below(4) == 0 {
            0
        } else {
            source.address()
        };
        put(page, address, 8);
    }
    put(page, source.below(4), 4);
    put(page, source.small(20), 4);
    page.resize(page.len() + 16, 0);
}

/// Strings with their lengths before them, filled up to eight bytes.
fn strings(source: &mut Source, page: &mut Vec<u8>) {
    let start = page.len();
    put(page, 0, 8);
    for _ in 0..1 + source.below(12) {
        page.extend_from_slice(source.word().as_bytes());
        page.push(b' ');
    }
    let len = (page.len() - start - 8) as u64;
    page[start..start + 8].copy_from_slice(&len.to_le_bytes());
    page.resize(page.len().next_multiple_of(8), 0);
}

fn json(source: &mut Source, page: &mut Vec<u8>) {
    let record = format!(
        "{{\"id\":{},\"name\":\"{} {}\",\"status\":\"{}\",\"total\":{}.{:02}}},",
        source.below(100_000),
        source.word(),
        source.word(),
        source.word(),
        source.small(14),
        source.below(100),
    );
    page.extend_from_slice(record.as_bytes());
}

fn pointers(source: &mut Source, page: &mut Vec<u8>) {
    put(page, source.address(), 8);
}

/// A table of small numbers.
fn numbers(source: &mut Source, page: &mut Vec<u8>) {
    put(page, source.small(16), 4);
}

/// Mostly empty slots.
fn sparse(source: &mut Source, page: &mut Vec<u8>) {
    page.resize(page.len() + 8 * source.small(5) as usize, 0);
    put(page, source.address(), 8);
    put(page, source.next(), 4);
    put(page, 1, 4);
}

/// Like instructions: few first bytes, some operands.
fn code(source: &mut Source, page: &mut Vec<u8>) {
    const STARTS: [&[u8]; 8] = [
        b"\x48\x89",
        b"\x48\x8b",
        b"\xe8",
        b"\x0f\x84",
        b"\x48\x8d\x05",
        b"\x31\xc0",
        b"\xff\x25",
        b"\x85\xc0\x74",
    ];
    let start = source.small(3) as usize;
    page.extend_from_slice(STARTS[start]);
    match start {
        2..=4 | 6 => put(page, source.small(24), 4),
        _ => put(page, source.below(64), 1),
    }
}

/// Measurements: their low bytes are noise.
fn floats(source: &mut Source, page: &mut Vec<u8>) {
    let value = 20.0 + source.below(1 << 14) as f64 / 1024.0;
    put(page, value.to_bits(), 8);
}
