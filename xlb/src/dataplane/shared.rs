//! The kernel's sections of global data, mapped into this process.
//!
//! All the unsafe code that writes memory which the program reads is in this file. Two rules make
//! it sound: every write is volatile and of whole values, and what the program can reach is only
//! written through the methods called `live`, which store one aligned word.

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd};

use memmap2::{MmapOptions, MmapRaw};

/// A section or an array map of values `T`, shared with the kernel.
pub struct Shared<T> {
    memory: MmapRaw,
    len: usize,
    shape: PhantomData<T>,
}

impl<T: Copy> Shared<T> {
    /// Maps `len` values of a `BPF_F_MMAPABLE` array map.
    ///
    /// # Errors
    ///
    /// What mmap(2) says.
    pub fn map(fd: impl AsFd, len: usize) -> io::Result<Self> {
        let fd = fd.as_fd().as_raw_fd();
        let memory = MmapOptions::new().len(len * size_of::<T>()).map_raw(fd)?;
        Ok(Self { memory, len, shape: PhantomData })
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A place within value `index`, found by `field`.
    fn place<V>(&self, index: usize, field: impl FnOnce(*mut T) -> *mut V) -> *mut V {
        assert!(index < self.len, "value {index} of {}", self.len);
        // SAFETY: the mapping holds `len` values and lives as long as `self`.
        let value = unsafe { self.memory.as_mut_ptr().cast::<T>().add(index) };
        let place = field(value);
        let offset = (place as usize).wrapping_sub(value as usize);
        assert!(offset + size_of::<V>() <= size_of::<T>(), "a place outside of its value");
        assert!((place as usize).is_multiple_of(align_of::<V>()), "a place out of alignment");
        place
    }

    /// Reads a field of value `index`.
    pub fn read<V: Copy>(&self, index: usize, field: impl FnOnce(*mut T) -> *mut V) -> V {
        // SAFETY: `place` has checked bounds and alignment; all bit patterns are values.
        unsafe { self.place(index, field).read_volatile() }
    }

    /// Writes a field that the program can't reach yet, or can't reach any more.
    pub fn write<V: Copy>(&self, index: usize, field: impl FnOnce(*mut T) -> *mut V, value: V) {
        // SAFETY: `place` has checked bounds and alignment.
        unsafe { self.place(index, field).write_volatile(value) };
    }

    /// Writes a word that the program may be reading.
    pub fn live<V: Word>(&self, index: usize, field: impl FnOnce(*mut T) -> *mut V, value: V) {
        let place = self.place(index, field);
        // What was written before must be seen before this word is.
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
        // SAFETY: checked by `place`; an aligned store of at most 8 bytes is one store.
        unsafe { place.write_volatile(value) };
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
    }
}

/// What one store can write.
pub trait Word: Copy + private::Sealed {}

mod private {
    pub trait Sealed {}
}

macro_rules! words {
    ($($word:ty)+) => { $(impl private::Sealed for $word {} impl Word for $word {})+ };
}
words!(u16 u32 u64);

/// The place of a field, for [`Shared`]'s methods: `field!(Hot, control.word)`.
macro_rules! field {
    ($shape:ty, $($field:tt)+) => {
        |value: *mut $shape| {
            // SAFETY: only the address is taken, of a place that `Shared` then checks.
            unsafe { &raw mut (*value).$($field)+ }
        }
    };
    ($shape:ty) => { |value: *mut $shape| value };
}
pub(crate) use field;
