//! Which 20 ms are said next?
//!
//! [`Playback`] cuts a clip into frames and gives silence when there is nothing to say: the phone
//! gets a steady stream from the moment it is answered.

use media::codec::{FRAME, Frame};
use std::sync::Arc;

/// What is being played.
#[derive(Debug, Default)]
pub struct Playback {
    clip: Option<Arc<[i16]>>,
    at: usize,
}

impl Playback {
    /// Plays `clip` from its beginning, instead of what is playing.
    pub fn start(&mut self, clip: Arc<[i16]>) {
        self.clip = Some(clip);
        self.at = 0;
    }

    /// The next frame; true with the frame that holds the last sample.
    pub fn next_frame(&mut self) -> (Frame, bool) {
        let mut frame = [0; FRAME];
        let Some(clip) = &self.clip else { return (frame, false) };
        let rest = &clip[self.at.min(clip.len())..];
        let length = rest.len().min(FRAME);
        frame[..length].copy_from_slice(&rest[..length]);
        self.at += length;
        let done = self.at >= clip.len();
        if done {
            self.clip = None;
        }
        (frame, done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clip_ends_once_and_is_followed_by_silence() {
        let mut playback = Playback::default();
        assert_eq!(playback.next_frame(), ([0; FRAME], false));
        playback.start([7; 200].as_slice().into());
        assert_eq!(playback.next_frame(), ([7; FRAME], false));
        let (last, done) = playback.next_frame();
        assert!(done && last[..40] == [7; 40] && last[40..] == [0; 120]);
        assert_eq!(playback.next_frame(), ([0; FRAME], false));
    }

    #[test]
    fn an_empty_clip_is_over_at_once() {
        let mut playback = Playback::default();
        playback.start(Arc::new([]));
        assert_eq!(playback.next_frame(), ([0; FRAME], true));
    }

    #[test]
    fn another_clip_takes_over() {
        let mut playback = Playback::default();
        playback.start([1; 800].as_slice().into());
        playback.next_frame();
        playback.start([2; 160].as_slice().into());
        assert_eq!(playback.next_frame(), ([2; FRAME], true));
    }
}
