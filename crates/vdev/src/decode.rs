//! The two instructions that submit descriptors, as they lie in memory (Intel SDM,
//! volume 2, "ENQCMD", "MOVDIR64B" and chapter 2 on instruction formats).

/// What a program tried to submit with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instruction {
    /// F2 0F 38 F8 /r.
    Enqcmd,
    /// F3 0F 38 F8 /r: kernels only.
    Enqcmds,
    /// 66 0F 38 F8 /r.
    Movdir64b,
}

/// A thread's registers where it stopped.
#[derive(Debug, Clone, Copy, Default)]
pub struct Registers {
    /// RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15: by the numbers that
    /// instructions have for them.
    pub general: [u64; 16],
    /// Where the instruction is.
    pub rip: u64,
    /// What FS adds to addresses: asked for only if an instruction says FS.
    pub fs_base: u64,
    /// What GS adds.
    pub gs_base: u64,
}

/// One of the instructions with its operands worked out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Submitting {
    /// Which one.
    pub instruction: Instruction,
    /// Where the 64 bytes go: a portal, or anything for MOVDIR64B.
    pub destination: u64,
    /// Where they come from.
    pub source: u64,
    /// Bytes of the instruction.
    pub length: usize,
}

/// The longest instruction that a CPU takes.
pub const LENGTH_MAX: usize = 15;

/// A reader of code that ends.
struct Code<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Code<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// A displacement of 32 bits, its sign extended.
    fn word(&mut self) -> Option<u64> {
        let word = *self.bytes.get(self.at..)?.first_chunk()?;
        self.at += 4;
        Some(i64::from(i32::from_le_bytes(word)) as u64)
    }
}

/// Bits of a REX prefix.
const REX_R: u8 = 4;
const REX_X: u8 = 2;
const REX_B: u8 = 1;

/// Numbers that say something else than a register, where they stand for it.
const NO_INDEX: u8 = 4;
const SIB_FOLLOWS: u8 = 4;
const NO_BASE: u8 = 5;

/// The instruction that begins with `code`, in 64-bit mode; `None` if it is another
/// one, or cut short. The forms that APX adds (REX2, EVEX) are not known.
#[must_use]
pub fn decode(code: &[u8], registers: &Registers) -> Option<Submitting> {
    let mut code = Code {
        bytes: &code[..code.len().min(LENGTH_MAX)],
        at: 0,
    };
    // Legacy prefixes in any order; the last one of a group counts. LOCK is not among
    // them: with it, these are no instructions.
    let (mut repeat, mut operand_size, mut short_addresses, mut segment) = (0, false, false, 0);
    let mut rex = 0;
    let byte = loop {
        let byte = code.byte()?;
        // Only the one right before the opcode counts.
        let last_rex = core::mem::take(&mut rex);
        match byte {
            0xF2 | 0xF3 => repeat = byte,
            0x66 => operand_size = true,
            0x67 => short_addresses = true,
            0x64 => segment = registers.fs_base,
            0x65 => segment = registers.gs_base,
            // ES, CS, SS and DS: of no effect, but they do not undo FS and GS.
            0x26 | 0x2E | 0x36 | 0x3E => {}
            0x40..=0x4F => rex = byte,
            _ => {
                rex = last_rex;
                break byte;
            }
        }
    };
    if byte != 0x0F || code.byte()? != 0x38 || code.byte()? != 0xF8 {
        return None;
    }
    // These select an instruction, and of them the repeat prefixes win.
    let instruction = match (repeat, operand_size) {
        (0xF2, _) => Instruction::Enqcmd,
        (0xF3, _) => Instruction::Enqcmds,
        (_, true) => Instruction::Movdir64b,
        _ => return None,
    };

    let register = |number: u8, bit: u8| {
        let high = if rex & bit != 0 { 8 } else { 0 };
        registers.general[usize::from(number + high)]
    };
    let form = code.byte()?;
    let (mode, place) = (form >> 6, form & 7);
    if mode == 3 {
        return None;
    }
    let mut relative = false;
    let mut address = if place == SIB_FOLLOWS {
        let sib = code.byte()?;
        let (scale, index, base) = (sib >> 6, sib >> 3 & 7, sib & 7);
        let indexed = if index == NO_INDEX && rex & REX_X == 0 {
            0
        } else {
            register(index, REX_X) << scale
        };
        let base = if base == NO_BASE && mode == 0 {
            code.word()?
        } else {
            register(base, REX_B)
        };
        base.wrapping_add(indexed)
    } else if place == NO_BASE && mode == 0 {
        relative = true;
        code.word()?
    } else {
        register(place, REX_B)
    };
    let displacement = match mode {
        1 => i64::from(code.byte()? as i8) as u64,
        2 => code.word()?,
        _ => 0,
    };
    address = address.wrapping_add(displacement);
    if relative {
        let next = registers.rip.wrapping_add(code.at as u64);
        address = address.wrapping_add(next);
    }
    let mask = if short_addresses {
        u64::from(u32::MAX)
    } else {
        u64::MAX
    };
    Some(Submitting {
        instruction,
        destination: register(form >> 3 & 7, REX_R) & mask,
        source: (address & mask).wrapping_add(segment),
        length: code.at,
    })
}
