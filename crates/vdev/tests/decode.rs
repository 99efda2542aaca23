//! The decoder against iced's: what both make of the same bytes, and what becomes of
//! operands that iced has put into them.

use iced_x86::{
    Code, Decoder, DecoderOptions, Encoder, Instruction as Iced, MemoryOperand, OpKind, Register,
};
use pagepress_vdev::decode::{Instruction, LENGTH_MAX, Registers, Submitting, decode};

/// Numbers that look random (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn registers(&mut self) -> Registers {
        Registers {
            general: core::array::from_fn(|_| self.next()),
            rip: self.next(),
            fs_base: self.next(),
            gs_base: self.next(),
        }
    }
}

const GENERAL: [Register; 16] = [
    Register::RAX,
    Register::RCX,
    Register::RDX,
    Register::RBX,
    Register::RSP,
    Register::RBP,
    Register::RSI,
    Register::RDI,
    Register::R8,
    Register::R9,
    Register::R10,
    Register::R11,
    Register::R12,
    Register::R13,
    Register::R14,
    Register::R15,
];

/// The lower halves, by the same numbers.
const SHORT: [Register; 16] = [
    Register::EAX,
    Register::ECX,
    Register::EDX,
    Register::EBX,
    Register::ESP,
    Register::EBP,
    Register::ESI,
    Register::EDI,
    Register::R8D,
    Register::R9D,
    Register::R10D,
    Register::R11D,
    Register::R12D,
    Register::R13D,
    Register::R14D,
    Register::R15D,
];

/// What iced knows the three by, with addresses of 64 and of 32 bits.
const KNOWN: [(Instruction, Code, Code); 3] = [
    (
        Instruction::Enqcmd,
        Code::Enqcmd_r64_m512,
        Code::Enqcmd_r32_m512,
    ),
    (
        Instruction::Enqcmds,
        Code::Enqcmds_r64_m512,
        Code::Enqcmds_r32_m512,
    ),
    (
        Instruction::Movdir64b,
        Code::Movdir64b_r64_m512,
        Code::Movdir64b_r32_m512,
    ),
];

/// What is in a register, as far as it goes.
fn value(registers: &Registers, register: Register) -> Option<u64> {
    let number = |all: &[Register]| all.iter().position(|&it| it == register);
    Some(match register {
        Register::ES | Register::CS | Register::SS | Register::DS => 0,
        Register::FS => registers.fs_base,
        Register::GS => registers.gs_base,
        _ => match number(&GENERAL) {
            Some(number) => registers.general[number],
            None => registers.general[number(&SHORT)?] & u64::from(u32::MAX),
        },
    })
}

/// What iced makes of the bytes.
fn as_iced_says(code: &[u8], registers: &Registers) -> Option<Submitting> {
    let mut decoder = Decoder::with_ip(64, code, registers.rip, DecoderOptions::NONE);
    let iced = decoder.decode();
    let known = |&&(_, long, short): &&(_, Code, Code)| [long, short].contains(&iced.code());
    let &(instruction, ..) = KNOWN.iter().find(known)?;
    assert_eq!(
        (iced.op0_kind(), iced.op1_kind()),
        (OpKind::Register, OpKind::Memory)
    );
    let source = iced.virtual_address(1, 0, |register, _, _| value(registers, register));
    Some(Submitting {
        instruction,
        destination: value(registers, iced.op0_register()).expect("a general register"),
        source: source.expect("all registers are known"),
        length: iced.len(),
    })
}

fn check(code: &[u8], registers: &Registers) -> bool {
    let ours = decode(code, registers);
    assert_eq!(
        ours,
        as_iced_says(code, registers),
        "{code:02x?} with {registers:x?}"
    );
    ours.is_some()
}

/// Each instruction with each register in each place, each scale and each size of
/// displacement, each with and without FS, GS and short addresses, behind prefixes that
/// change nothing. What should come out is known from what went in.
#[test]
fn all_operands() {
    const INERT: [u8; 16] = [
        0x26, 0x2E, 0x36, 0x3E, 0x40, 0x41, 0x42, 0x44, 0x47, 0x48, 0x49, 0x4A, 0x4C, 0x4F, 0x26,
        0x2E,
    ];
    let mut random = Random(1);
    let mut encoder = Encoder::new(64);
    let mut encoded = 0;
    for case in 0..3 * 16 * 18 * 16 * 4 * 3 * 3 * 2 {
        let mut rest: usize = case;
        let mut choice = |of| {
            let chosen = rest % of;
            rest /= of;
            chosen
        };
        let (instruction, long, short) = KNOWN[choice(3)];
        let (dst, base, index) = (choice(16), choice(18), choice(16));
        let (scale, displacement, segment) = (choice(4), choice(3), choice(3));
        let (all, code, mask) = match choice(2) {
            0 => (&GENERAL, long, u64::MAX),
            _ => (&SHORT, short, u64::from(u32::MAX)),
        };
        // By its number, RSP is no index; it stands for none.
        let index = (index != 4).then_some(index);
        let is_relative = base == 16;
        if is_relative && (index.is_some() || scale > 0 || displacement > 0) {
            continue;
        }
        let mut registers = random.registers();
        let register = |number: usize| registers.general[number] & mask;
        let offset = match displacement {
            // What is encoded is relative to the end, so leave some room.
            _ if is_relative => random.next() as i32 >> 1,
            _ if base == 17 => random.next() as i32,
            0 => 0,
            1 => random.next() as i8 as i32,
            // Not one that a byte would do for.
            _ => (random.next() as i32) | 0x100,
        };
        // iced says 8 for the 4 bytes of a displacement of 64-bit addresses.
        let displacement_size = match displacement {
            0 | 1 if !is_relative && base != 17 => displacement as u32,
            _ if mask == u64::MAX => 8,
            _ => 4,
        };
        let indexed = index.map_or(0, |index| register(index) << scale);
        let (base, based) = match base {
            16 if mask == u64::MAX => (Register::RIP, registers.rip),
            16 => (Register::EIP, registers.rip),
            17 => (Register::None, 0),
            number => (all[number], register(number)),
        };
        // iced has the address itself where the code has the way to it.
        let address = based.wrapping_add(indexed).wrapping_add(offset as u64) & mask;
        let shown = if is_relative {
            address as i64
        } else {
            i64::from(offset)
        };
        let (segment, segment_base) = [
            (Register::None, 0),
            (Register::FS, registers.fs_base),
            (Register::GS, registers.gs_base),
        ][segment];
        let memory = MemoryOperand::new(
            base,
            index.map_or(Register::None, |index| all[index]),
            1 << scale,
            shown,
            displacement_size,
            false,
            segment,
        );
        let iced = Iced::with2(code, all[dst], memory).unwrap();
        let length = encoder.encode(&iced, registers.rip).unwrap();
        let plain = encoder.take_buffer();
        encoded += 1;

        let inert = random.below(LENGTH_MAX + 1 - length);
        // A prefix that selects the instruction follows them, so no REX counts.
        let mut code: Vec<u8> = (0..inert).map(|_| random.of(&INERT)).collect();
        code.extend(&plain);
        registers.rip = registers.rip.wrapping_sub(inert as u64);
        let expected = Submitting {
            instruction,
            destination: register(dst),
            source: address.wrapping_add(segment_base),
            length: code.len(),
        };
        let ours = decode(&code, &registers);
        assert_eq!(
            ours,
            Some(expected),
            "{iced:?}: {code:02x?}, {registers:x?}"
        );
        for cut in 0..code.len() {
            assert_eq!(decode(&code[..cut], &registers), None, "{iced:?}: {cut}");
        }
        code.extend([random.next() as u8; 3]);
        assert_eq!(decode(&code, &registers), ours, "{iced:?}: what follows");
    }
    assert!(encoded > 800_000, "{encoded}");
}

/// Prefixes in any order, twice, in the wrong place or too many; all forms of operands.
#[test]
fn random_bytes_around_the_opcode() {
    const PREFIXES: [u8; 12] = [
        0xF2, 0xF3, 0x66, 0x67, 0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0xF0, 0x0F,
    ];
    let mut random = Random(2);
    let mut ours = 0;
    for _ in 0..3_000_000 {
        let registers = random.registers();
        let mut code = Vec::with_capacity(24);
        if random.below(8) > 0 {
            code.push(random.of(&[0xF2, 0xF3, 0x66]));
        }
        for _ in 0..random.of(&[0, 0, 1, 1, 2, 3, 4, 8, 12]) {
            let rex = 0x40 + random.below(16) as u8;
            // Rarely one that makes another instruction of it.
            let end = random.of(&[10, 10, 10, 10, 10, 10, 10, 12]);
            let prefix = PREFIXES[random.below(end)];
            code.push(if random.below(3) == 0 { rex } else { prefix });
        }
        code.extend([0x0F, 0x38, 0xF8]);
        let form = random.next() as u8;
        // Half of those that would name a register get memory instead.
        code.push(if random.below(2) == 0 {
            form & 0xBF
        } else {
            form
        });
        let operand = random.next().to_le_bytes();
        code.extend(&operand[..random.of(&[0, 1, 2, 4, 5, 6, 8, 8, 8, 8])]);
        ours += u32::from(check(&code, &registers));
    }
    assert!(ours > 1_000_000, "{ours}");
}

/// One byte of an instruction is another one, or all of them are anything.
#[test]
fn whatever_else_is_none_of_them() {
    let mut random = Random(3);
    let mut kept = 0;
    for _ in 0..3_000_000 {
        let registers = random.registers();
        let length = random.below(LENGTH_MAX + 3);
        let mut code: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
        if random.below(4) > 0 {
            let whole = [random.of(&[0xF2, 0xF3, 0x66]), 0x0F, 0x38, 0xF8];
            let form = random.next() as u8 & 0xBF;
            code.splice(0..0, whole.into_iter().chain([form]));
            code[random.below(5)] = random.next() as u8;
        }
        kept += u32::from(check(&code, &registers));
    }
    assert!(kept > 100_000, "{kept}");
}

/// All of map 0F 38 with all that selects in it, F8 with registers, and what newer
/// encodings say with the same opcode.
#[test]
fn neighbours_are_not_taken() {
    let registers = Random(4).registers();
    let mut taken = 0;
    for escape in 0..=u8::MAX {
        for opcode in 0..=u8::MAX {
            for prefix in [0xF2, 0xF3, 0x66, 0x67] {
                for form in [0x00, 0x04, 0x05, 0x40, 0xC0, 0xFF] {
                    let mut code = [0; LENGTH_MAX];
                    code[..5].copy_from_slice(&[prefix, 0x0F, escape, opcode, form]);
                    taken += u32::from(check(&code, &registers));
                }
            }
        }
    }
    assert_eq!(taken, 3 * 4);
    for code in [
        // EVEX.LLZ.F2.MAP4 F8 /r and REX2 with 0F 38 missing: APX.
        &[0x62, 0xF4, 0x7F, 0x08, 0xF8, 0x02][..],
        &[0xF2, 0xD5, 0x80, 0x38, 0xF8, 0x02],
        // VEX with the same map and opcode.
        &[0xC4, 0xE2, 0x7B, 0xF8, 0x02],
        // URDMSR: the same opcode with two registers.
        &[0xF2, 0x0F, 0x38, 0xF8, 0xC1],
    ] {
        assert_eq!(decode(code, &registers), None, "{code:02x?}");
    }
}

/// What the manual says where instructions are seldom written so.
#[test]
fn corners() {
    let mut registers = Registers {
        general: core::array::from_fn(|number| 0x1_0000_0000 * (number as u64 + 1) + 0x1000),
        rip: 0x7_FFFF_FFF0,
        fs_base: 0x10_0000_0000,
        gs_base: 0x20_0000_0000,
    };
    let of = |code: &[u8], registers: &Registers| {
        let it = decode(code, registers).unwrap_or_else(|| panic!("{code:02x?}"));
        assert_eq!(it.length, code.len());
        (it.destination >> 32, it.source)
    };
    let enqcmd = |rest: &[u8]| [&[0xF2], rest].concat();
    // enqcmd rax, [rdx]
    let plain = enqcmd(&[0x0F, 0x38, 0xF8, 0x02]);
    assert_eq!(of(&plain, &registers), (1, 0x3_0000_1000));
    // REX.RB, but not before the opcode.
    let stray = [&[0x45][..], &plain].concat();
    assert_eq!(of(&stray, &registers), (1, 0x3_0000_1000));
    // Of two, the one that is.
    let two = enqcmd(&[0x45, 0x41, 0x0F, 0x38, 0xF8, 0x02]);
    assert_eq!(of(&two, &registers), (1, 0xB_0000_1000));
    // With [r13] as base there is always a displacement, [rip] whatever REX.B says.
    let relative = enqcmd(&[0x41, 0x0F, 0x38, 0xF8, 0x05, 0xF0, 0xFF, 0xFF, 0xFF]);
    assert_eq!(of(&relative, &registers), (1, 0x7_FFFF_FFEA));
    // The same with short addresses: EIP wraps around.
    registers.rip = 0x7_FFFF_FFF8;
    let short = enqcmd(&[0x67, 0x0F, 0x38, 0xF8, 0x05, 0x10, 0, 0, 0]);
    assert_eq!(of(&short, &registers), (0, 0x12));
    // Short addresses cut what is added up, but not a segment's base, nor that of FS by
    // a later CS.
    let fs = enqcmd(&[0x67, 0x64, 0x2E, 0x0F, 0x38, 0xF8, 0x42, 0xFF]);
    assert_eq!(of(&fs, &registers), (0, 0x10_0000_0FFF));
    // r12 is an index, RSP in its place none; r12 and RSP as bases take a SIB.
    let r12 = enqcmd(&[0x43, 0x0F, 0x38, 0xF8, 0x04, 0xE4]);
    assert_eq!(of(&r12, &registers), (1, 9 * 0xD_0000_1000));
    let rsp = enqcmd(&[0x0F, 0x38, 0xF8, 0x04, 0xE4]);
    assert_eq!(of(&rsp, &registers), (1, 0x5_0000_1000));
    // Neither base nor index: an address of 32 bits with sign.
    let absolute = enqcmd(&[0x41, 0x0F, 0x38, 0xF8, 0x04, 0x25, 0xC0, 0xFF, 0xFF, 0xFF]);
    assert_eq!(of(&absolute, &registers), (1, 0xFFFF_FFFF_FFFF_FFC0));
    // LOCK makes none of it; 15 bytes are the most.
    assert_eq!(decode(&[&[0xF0], &plain[..]].concat(), &registers), None);
    let long = |prefixes| [&vec![0x3E; prefixes], &plain[..]].concat();
    assert!(decode(&long(10), &registers).is_some());
    assert_eq!(decode(&long(11), &registers), None);
}
