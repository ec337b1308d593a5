use super::*;
use crate::codec::{Decoder, G711, G711Decoder};
use crate::tone::{self, wave};
use proptest::prelude::*;

fn tone(hz: f64, rate: u32, seconds: f64) -> Vec<i16> {
    wave(hz, rate, (f64::from(rate) * seconds) as usize, 8000.0, 0)
}

/// The share of the power that is at `hz`, of 16 kHz.
fn share(hz: f64, pcm: &[i16]) -> f64 {
    tone::share(pcm, 16_000, hz)
}

fn encoded(pcm: &[i16]) -> Vec<u8> {
    let mut bytes = vec![0; pcm.len() / 2];
    assert_eq!(G722Encoder::default().encode(pcm, &mut bytes).unwrap(), bytes.len());
    bytes
}

fn decoded(bytes: &[u8]) -> Vec<i16> {
    let mut pcm = vec![0; bytes.len() * 2];
    assert_eq!(G722Decoder::default().decode(bytes, &mut pcm), pcm.len());
    pcm
}

/// The end of 40 ms of a sweep, as another implementation (libg722) writes and reads it.
#[test]
fn every_bit_is_as_others_code_it() {
    let sweep: Vec<i16> = (0..640i32).map(|n| ((n * n * 37) % 30_011 - 15_000) as i16).collect();
    let bytes = encoded(&sweep);
    assert_eq!(
        bytes[288..],
        [
            111, 59, 27, 168, 153, 141, 113, 58, 19, 26, 170, 154, 158, 152, 141, 47, 51, 55, 56, 59, 30, 63, 63, 60,
            56, 118, 49, 114, 39, 141, 153, 191
        ]
    );
    assert_eq!(
        decoded(&bytes)[608..],
        [
            -3688, 7910, -4694, 3143, -7394, 2151, -10519, -1582, -10426, -3874, 13719, -13, 7853, -2680, 9713, -4023,
            7181, -5037, 7774, -7592, 8823, -7920, 7956, -8675, 8983, -8281, 9989, -9813, 9813, -2926, 7108, -6312
        ]
    );
}

#[test]
fn tones_of_both_bands_come_back_as_they_were() {
    for hz in [300.0, 1000.0, 3000.0, 5000.0, 6500.0] {
        let heard = decoded(&encoded(&tone(hz, 16_000, 0.5)));
        assert!(share(hz, &heard[1600..]) > 0.99, "{hz} Hz: {}", share(hz, &heard[1600..]));
    }
}

#[test]
fn the_lower_band_alone_is_the_sound_at_half_the_rate() {
    let bytes = encoded(&tone(1000.0, 16_000, 0.5));
    let mut narrow = vec![0; bytes.len()];
    assert_eq!(G722Decoder::default().decode_narrow(&bytes, &mut narrow), narrow.len());
    assert!(share(2000.0, &narrow[800..]) > 0.99, "1 kHz of 8 looks like 2 kHz of 16");
    let loudest = narrow[800..].iter().max().copied().unwrap_or_default();
    assert!((7000..9000).contains(&loudest), "{loudest}");
}

#[test]
fn a_sound_of_g711_is_the_same_at_twice_the_rate() {
    let mut bytes = vec![0; 800];
    G711::Pcmu.encode(&tone(1000.0, 8000, 0.1), &mut bytes);
    let (mut wide, mut decoder) = (vec![0; 1600], Widened::new(G711Decoder::new(G711::Pcmu)));
    assert_eq!(decoder.decode(&bytes, &mut wide).unwrap(), 1600);
    assert!(share(1000.0, &wide[160..]) > 0.99, "{}", share(1000.0, &wide[160..]));
    let mut guess = [0; 320];
    decoder.conceal(None, &mut guess);
    assert!(share(1000.0, &guess[40..280]) > 0.8, "{}", share(1000.0, &guess[40..280]));
}

#[test]
fn silence_is_silent_and_lengths_that_do_not_fit_are_cut() {
    assert!(decoded(&encoded(&[0; 640])).iter().all(|sample| sample.abs() < 8));
    let mut bytes = [0; 3];
    assert_eq!(G722Encoder::default().encode(&[1; 5], &mut bytes).unwrap(), 2);
    assert_eq!(G722Decoder::default().decode(&[1; 9], &mut [0; 7]), 6);
}

proptest! {
    #[test]
    fn no_samples_make_the_encoder_overflow(pcm in proptest::collection::vec(any::<i16>(), 0..2000)) {
        encoded(&pcm);
    }

    #[test]
    fn no_bytes_make_the_decoder_overflow(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        decoded(&bytes);
        G722Decoder::default().decode_narrow(&bytes, &mut vec![0; bytes.len()]);
    }

    #[test]
    fn the_loudest_square_wave_overflows_nothing(half in 1usize..100) {
        let square: Vec<i16> = (0..4000).map(|n| if n / half % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        decoded(&encoded(&square));
    }
}
