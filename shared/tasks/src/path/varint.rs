//! LEB128 numbers in their shortest form only, so that each value has exactly one encoding.

/// Appends `value`.
pub(super) fn push(bytes: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Reads one number from `next`, which yields the bytes or fails; a number above 32 bits or not in its
/// shortest form gives `malformed`.
pub(super) fn read<E>(
    mut next: impl FnMut() -> Result<u8, E>,
    malformed: impl FnOnce() -> E,
) -> Result<u32, E> {
    let mut value = 0u32;
    for shift in [0, 7, 14, 21, 28] {
        let byte = next()?;
        if shift == 28 && byte > 0x0f || shift > 0 && byte == 0 {
            break;
        }
        value |= u32::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(malformed())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(bytes: &[u8]) -> Result<(u32, usize), &'static str> {
        let mut at = 0;
        let next = || {
            at += 1;
            bytes.get(at - 1).copied().ok_or("end")
        };
        read(next, || "malformed").map(|value| (value, at))
    }

    #[test]
    fn numbers_survive_and_only_their_shortest_form_is_read() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u32::MAX >> 4, u32::MAX - 1, u32::MAX] {
            let mut bytes = Vec::new();
            push(&mut bytes, value);
            assert_eq!(take(&bytes), Ok((value, bytes.len())));
            assert_eq!(take(&bytes[..bytes.len() - 1]), Err("end"));
        }
        assert_eq!(take(&[0x80, 0]), Err("malformed"));
        assert_eq!(take(&[0xff, 0xff, 0xff, 0xff, 0x10]), Err("malformed"));
        assert_eq!(take(&[0x80, 0x80, 0x80, 0x80, 0x80, 0]), Err("malformed"));
    }
}
