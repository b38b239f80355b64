//! Bytes as decisions. When they are used up, every decision is the first choice, so that shorter input makes simpler
//! things, which is what shrinking hopes for.

/// Decisions taken from bytes.
#[derive(Clone, Debug)]
pub struct Choices<'a> {
    rest: &'a [u8],
}

impl<'a> Choices<'a> {
    /// Decisions from these bytes.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Choices<'a> {
        Choices { rest: bytes }
    }

    /// The bytes that no decision has taken.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Nothing is left: all further decisions are the first choice.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next byte, or zero.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        *first
    }

    /// A number below `count`, which is at least 1.
    pub fn below(&mut self, count: usize) -> usize {
        let mut number = usize::from(self.byte());
        if count > 256 {
            number = number << 8 | usize::from(self.byte());
        }
        number % count.max(1)
    }

    /// True in one case of `cases`.
    pub fn one_in(&mut self, cases: usize) -> bool {
        let chosen = self.below(cases);
        chosen + 1 == cases
    }

    /// One of these.
    pub fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len())]
    }

    /// One of these words.
    pub fn word<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.below(from.len())]
    }

    /// Any 64 bits: near zero, near a power of two, or anything.
    pub fn bits(&mut self) -> u64 {
        match self.below(4) {
            0 => u64::from(self.byte()),
            1 => (1_u64 << self.below(64)).wrapping_add(u64::from(self.byte())).wrapping_sub(128),
            2 => u64::MAX - u64::from(self.byte()),
            _ => (0..8).fold(0, |bits, _| bits << 8 | u64::from(self.byte())),
        }
    }

    /// Any whole number.
    pub fn signed(&mut self) -> i64 {
        self.bits().cast_signed()
    }

    /// Any character: mostly one of a keyboard, else of anywhere in Unicode.
    pub fn character(&mut self) -> char {
        const ODD: [char; 20] = [
            '\0',
            '\u{1}',
            '\t',
            '\n',
            '\r',
            '\u{7f}',
            '\u{85}',
            '\u{a0}',
            '\u{ad}',
            '\u{2028}',
            '\u{202e}',
            '\u{feff}',
            '\u{fffd}',
            '\u{ffff}',
            '\u{10ffff}',
            'ß',
            'İ',
            'é',
            '日',
            '🦀',
        ];
        match self.below(8) {
            0..6 => char::from(b' ' + u8::try_from(self.below(95)).unwrap_or(0)),
            6 => *self.pick(&ODD),
            _ => char::from_u32(u32::try_from(self.bits() % 0x11_0000).unwrap_or(0)).unwrap_or('\u{fffd}'),
        }
    }

    /// A text of so many characters at most.
    pub fn text(&mut self, characters_max: usize) -> String {
        let count = self.below(characters_max + 1);
        (0..count).map(|_| self.character()).collect()
    }

    /// A text made of these pieces and, now and then, of other characters: what gets far into a grammar.
    pub fn soup(&mut self, pieces: &[&str], pieces_max: usize) -> String {
        let mut text = String::new();
        for _ in 0..pieces_max {
            if self.is_over() {
                break;
            }
            match self.one_in(12) {
                true => text.push(self.character()),
                false => text.push_str(self.word(pieces)),
            }
        }
        text
    }

    /// A text that is nearly this one: bytes of it changed, left out, doubled.
    pub fn mutated(&mut self, original: &[u8], pieces: &[&str]) -> Vec<u8> {
        let mut bytes = original.to_vec();
        for _ in 0..=self.below(6) {
            let at = (self.below(256) << 8 | self.below(256)) % (bytes.len() + 1);
            let end = (at + self.below(24)).min(bytes.len());
            match self.below(5) {
                0 => bytes.splice(at..at, self.word(pieces).bytes()).for_each(drop),
                1 => bytes.drain(at..end).for_each(drop),
                2 => {
                    let copy = bytes[at..end].to_vec();
                    bytes.splice(at..at, copy).for_each(drop);
                }
                3 => bytes.splice(at..end, self.word(pieces).bytes()).for_each(drop),
                _ => {
                    let byte = self.byte();
                    if let Some(there) = bytes.get_mut(at) {
                        *there = byte;
                    }
                }
            }
        }
        bytes
    }
}
