//! How does a claim code look from two metres away?
//!
//! Five lines of five columns per character, the leftmost column in the highest bit.

const COLUMNS: u32 = 5;
pub const LINES: usize = 5;

/// The five lines of `text`; a character without a picture is a gap.
pub fn big(text: &str) -> [String; LINES] {
    std::array::from_fn(|line| {
        let parts: Vec<String> = text.chars().map(|c| row(picture(c)[line])).collect();
        parts.join("  ").trim_end().to_owned()
    })
}

fn row(bits: u8) -> String {
    (0..COLUMNS).rev().map(|column| if bits >> column & 1 == 1 { '#' } else { ' ' }).collect()
}

#[rustfmt::skip]
fn picture(c: char) -> [u8; LINES] {
    match c {
        '2' => [0b11110, 0b00001, 0b01110, 0b10000, 0b11111],
        '3' => [0b11110, 0b00001, 0b01110, 0b00001, 0b11110],
        '4' => [0b10010, 0b10010, 0b11111, 0b00010, 0b00010],
        '5' => [0b11111, 0b10000, 0b11110, 0b00001, 0b11110],
        '6' => [0b01110, 0b10000, 0b11110, 0b10001, 0b01110],
        '7' => [0b11111, 0b00001, 0b00010, 0b00100, 0b00100],
        '8' => [0b01110, 0b10001, 0b01110, 0b10001, 0b01110],
        '9' => [0b01110, 0b10001, 0b01111, 0b00001, 0b01110],
        'A' => [0b01110, 0b10001, 0b11111, 0b10001, 0b10001],
        'B' => [0b11110, 0b10001, 0b11110, 0b10001, 0b11110],
        'C' => [0b01111, 0b10000, 0b10000, 0b10000, 0b01111],
        'D' => [0b11110, 0b10001, 0b10001, 0b10001, 0b11110],
        'E' => [0b11111, 0b10000, 0b11110, 0b10000, 0b11111],
        'F' => [0b11111, 0b10000, 0b11110, 0b10000, 0b10000],
        'G' => [0b01111, 0b10000, 0b10011, 0b10001, 0b01111],
        'H' => [0b10001, 0b10001, 0b11111, 0b10001, 0b10001],
        'J' => [0b00111, 0b00010, 0b00010, 0b10010, 0b01100],
        'K' => [0b10001, 0b10010, 0b11100, 0b10010, 0b10001],
        'L' => [0b10000, 0b10000, 0b10000, 0b10000, 0b11111],
        'M' => [0b10001, 0b11011, 0b10101, 0b10001, 0b10001],
        'N' => [0b10001, 0b11001, 0b10101, 0b10011, 0b10001],
        'P' => [0b11110, 0b10001, 0b11110, 0b10000, 0b10000],
        'Q' => [0b01110, 0b10001, 0b10101, 0b10010, 0b01101],
        'R' => [0b11110, 0b10001, 0b11110, 0b10010, 0b10001],
        'S' => [0b01111, 0b10000, 0b01110, 0b00001, 0b11110],
        'T' => [0b11111, 0b00100, 0b00100, 0b00100, 0b00100],
        'U' => [0b10001, 0b10001, 0b10001, 0b10001, 0b01110],
        'V' => [0b10001, 0b10001, 0b10001, 0b01010, 0b00100],
        'W' => [0b10001, 0b10001, 0b10101, 0b11011, 0b10001],
        'X' => [0b10001, 0b01010, 0b00100, 0b01010, 0b10001],
        'Y' => [0b10001, 0b01010, 0b00100, 0b00100, 0b00100],
        'Z' => [0b11111, 0b00010, 0b00100, 0b01000, 0b11111],
        '-' => [0b00000, 0b00000, 0b01110, 0b00000, 0b00000],
        _ => [0; LINES],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_character_of_a_code_has_a_picture_of_its_own_and_a_code_fits_the_screen() {
        let letters = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ-";
        let pictures: BTreeSet<_> = letters.chars().map(picture).collect();
        assert_eq!(pictures.len(), letters.len());
        assert!(!pictures.contains(&[0; LINES]));
        assert!(big("ABCDE-23456").iter().all(|line| line.len() < 80));
    }
}
