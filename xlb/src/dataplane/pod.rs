//! The shapes of xlb-common as values of aya's maps.

use xlb_common::layout;

/// A value of one of xlb-common's layouts.
#[derive(Clone, Copy, Debug, Default)]
#[repr(transparent)]
pub struct Raw<T>(pub T);

macro_rules! pod {
    ($($shape:ty),+ $(,)?) => {
        // SAFETY: xlb-common's layouts are `repr(C)`, without padding, and made of integers: every
        // bit pattern is a value, and every byte of a value is initialised.
        $(unsafe impl aya::Pod for Raw<$shape> {})+
    };
}

pod!(
    layout::TargetCounters,
    [u64; layout::REASONS],
    layout::Egress,
    layout::DirectKey,
    layout::FlowKey,
    layout::Flow,
    layout::Pending,
);
