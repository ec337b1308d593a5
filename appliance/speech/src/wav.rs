//! What is in a WAV file, and how is one written?
//!
//! The reader takes what a program writes into a pipe, where the lengths in the header are not
//! known yet and hold nonsense: the data goes on until the end.

/// Mono sound.
pub(crate) struct Sound {
    pub rate: u32,
    pub samples: Vec<i16>,
}

/// Reads 16-bit PCM; of several channels the first.
pub(crate) fn parse(file: &[u8]) -> Option<Sound> {
    if file.get(..4)? != b"RIFF" || file.get(8..12)? != b"WAVE" {
        return None;
    }
    let mut format = None;
    let mut at = 12;
    loop {
        let id = file.get(at..at + 4)?;
        let length = u32::from_le_bytes(file.get(at + 4..at + 8)?.try_into().ok()?) as usize;
        let body = &file[at + 8..];
        let body = &body[..length.min(body.len())];
        match id {
            b"fmt " => format = Some(parse_format(body)?),
            b"data" => return format.map(|format| read_samples(format, body)),
            _ => {}
        }
        at = at.checked_add(8)?.checked_add(length)?.checked_add(length & 1)?;
    }
}

/// Writes a mono 16-bit file.
pub(crate) fn write(samples: &[i16], rate: u32) -> Result<Vec<u8>, hound::Error> {
    let spec =
        hound::WavSpec { channels: 1, sample_rate: rate, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut file = std::io::Cursor::new(Vec::with_capacity(44 + samples.len() * 2));
    let mut writer = hound::WavWriter::new(&mut file, spec)?;
    for sample in samples {
        writer.write_sample(*sample)?;
    }
    writer.finalize()?;
    Ok(file.into_inner())
}

/// (sample rate, channels) of plain 16-bit PCM.
fn parse_format(body: &[u8]) -> Option<(u32, usize)> {
    let word = |at: usize| Some(u16::from_le_bytes(body.get(at..at + 2)?.try_into().ok()?));
    let rate = u32::from_le_bytes(body.get(4..8)?.try_into().ok()?);
    let channels = usize::from(word(2)?);
    let fine = word(0)? == 1 && word(14)? == 16 && channels > 0 && (1_000..=384_000).contains(&rate);
    fine.then_some((rate, channels))
}

fn read_samples((rate, channels): (u32, usize), body: &[u8]) -> Sound {
    let samples = body.chunks_exact(2 * channels).map(|frame| i16::from_le_bytes([frame[0], frame[1]])).collect();
    Sound { rate, samples }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let samples = [0, 1, -1, i16::MAX, i16::MIN];
        let sound = parse(&write(&samples, 8000).unwrap()).unwrap();
        assert_eq!((sound.rate, &sound.samples[..]), (8000, &samples[..]));
    }

    #[test]
    fn a_header_written_before_the_length_was_known_is_no_obstacle() {
        let mut file = write(&[7, 8, 9], 22_050).unwrap();
        file[40..44].copy_from_slice(&0x7fff_f000_u32.to_le_bytes());
        assert_eq!(parse(&file).unwrap().samples, [7, 8, 9]);
    }

    #[test]
    fn anything_else_is_refused() {
        assert!(parse(b"").is_none());
        assert!(parse(b"RIFF....WAVE").is_none());
        assert!(parse(b"Error: no such voice").is_none());
    }

    proptest::proptest! {
        #[test]
        fn no_input_makes_the_reader_panic(file in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let with_magic = [b"RIFF\0\0\0\0WAVE".as_slice(), &file].concat();
            let _ = parse(&with_magic);
        }
    }
}
