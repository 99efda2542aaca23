//! Repeats of what is in the page already.

use super::End;

/// Bytes that are written in any case, and so may be behind a repeat.
const STEP: usize = 32;
const HALF: usize = STEP / 2;

/// Writes `length` bytes at `out`, which is in the page, that are those `distance`
/// before it; some of these it may just have written. Bytes behind them are
/// unspecified.
#[inline(always)]
pub(super) fn repeat(
    page: &mut [u8],
    out: usize,
    distance: usize,
    length: usize,
) -> Result<(), End> {
    match wordwise(page, out, distance, length) {
        Some(()) => Ok(()),
        None => bytewise(page, out, distance, length),
    }
}

/// The same where there are so many bytes before it, and enough behind.
#[inline(always)]
fn wordwise(page: &mut [u8], out: usize, distance: usize, length: usize) -> Option<()> {
    if page.len() - out < length + STEP {
        return None;
    }
    let from = out.wrapping_sub(distance);
    if distance >= HALF {
        let word: [u8; HALF] = *page.get(from..)?.first_chunk()?;
        *page[out..].first_chunk_mut()? = word;
        let word: [u8; HALF] = *page[from + HALF..].first_chunk()?;
        *page[out + HALF..].first_chunk_mut()? = word;
        let mut done = STEP;
        while done < length {
            let word: [u8; HALF] = *page[from + done..].first_chunk()?;
            *page[out + done..].first_chunk_mut()? = word;
            done += HALF;
        }
        return Some(());
    }
    if distance >= 8 {
        let word: [u8; HALF] = *page.get(from..)?.first_chunk()?;
        *page[out..].first_chunk_mut()? = word;
        let mut done = distance;
        while done < length {
            *page[out + done..].first_chunk_mut()? = word;
            done += distance;
        }
    } else {
        let word = u64::from_le_bytes(*page.get(from..)?.first_chunk()?);
        let word = word & ((1 << (8 * distance)) - 1);
        let word = word.wrapping_mul(ONES[distance]).to_le_bytes();
        let step = usize::from(STEPS[distance]);
        let mut done = 0;
        while done < length {
            *page[out + done..].first_chunk_mut()? = word;
            done += step;
        }
    }
    Some(())
}

/// Ones at every such distance of bytes.
const ONES: [u64; 8] = {
    let mut ones = [0; 8];
    let mut distance = 1;
    while distance < 8 {
        let mut at = 0;
        while at < 8 {
            ones[distance] |= 1 << (8 * at);
            at += distance;
        }
        distance += 1;
    }
    ones
};

/// The longest multiple of such a distance that eight bytes have room for.
const STEPS: [u8; 8] = [8, 8, 8, 6, 8, 5, 6, 7];

/// The same with care.
#[cold]
#[inline(never)]
fn bytewise(page: &mut [u8], out: usize, distance: usize, length: usize) -> Result<(), End> {
    if distance > out {
        return Err(End::Bad);
    }
    if length > page.len() - out {
        return Err(End::TooLong);
    }
    for at in out..out + length {
        page[at] = page[at - distance];
    }
    Ok(())
}
