//! The kinds that a program has: the one list that the protocol identity, admission and worker offers read.

use std::sync::Arc;

use p2c2r_protocol::{Digest, KernelOffer, KindId, ProtocolIdentity};

use crate::kind::{AnyKind, Erased, Kernel, TaskKind};
use crate::lightfield::Lightfield;
use crate::path::Path;
use crate::physics::Physics;
use crate::reflection::Reflection;
use crate::tactics::Tactics;

/// The kinds a program can compute and judge.
#[derive(Clone, Default)]
pub struct KindRegistry {
    /// Each kind beside its number, because every task looks kinds up several times.
    kinds: Vec<(KindId, Arc<dyn AnyKind>)>,
}

impl KindRegistry {
    /// A registry without kinds; add them with [`KindRegistry::with`].
    pub fn empty() -> Self {
        Self::default()
    }

    /// The kinds P2C2R ships.
    pub fn builtin() -> Self {
        Self::empty()
            .with::<Path>()
            .with::<Physics>()
            .with::<Reflection>()
            .with::<Lightfield>()
            .with::<Tactics>()
    }

    /// Adds a kind.
    ///
    /// # Panics
    /// If a kind with the same number or name is there already.
    #[must_use]
    pub fn with<K: TaskKind>(mut self) -> Self {
        assert!(
            self.kinds.iter().all(|(id, kind)| *id != K::ID && kind.name() != K::NAME),
            "a kind with number {} or name `{}` is already registered",
            K::ID.0,
            K::NAME
        );
        self.kinds.push((K::ID, Arc::new(Erased::<K>::own())));
        self
    }

    /// Replaces the kernel of a registered kind by `kernel`; the kind's own kernel still runs wherever that
    /// fails.
    ///
    /// # Panics
    /// If the kind is not registered.
    #[must_use]
    pub fn with_kernel<K: TaskKind>(mut self, kernel: Arc<dyn Kernel<K>>) -> Self {
        let place = self.kinds.iter_mut().find(|(id, _)| *id == K::ID);
        let (_, kind) = place.unwrap_or_else(|| panic!("the kind `{}` is not registered", K::NAME));
        *kind = Arc::new(Erased::with(kernel));
        self
    }

    /// The kind with this number.
    pub fn get(&self, id: KindId) -> Option<&Arc<dyn AnyKind>> {
        self.kinds.iter().find(|(of, _)| *of == id).map(|(_, kind)| kind)
    }

    /// The kind with this name.
    pub fn by_name(&self, name: &str) -> Option<&Arc<dyn AnyKind>> {
        self.iter().find(|kind| kind.name() == name)
    }

    /// All kinds, in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn AnyKind>> {
        self.kinds.iter().map(|(_, kind)| kind)
    }

    /// Name of a kind, or `unknown`.
    pub fn name(&self, id: KindId) -> &'static str {
        self.get(id).map_or("unknown", |kind| kind.name())
    }

    /// What a worker with these kinds offers.
    pub fn offers(&self) -> Vec<KernelOffer> {
        self.iter()
            .map(|kind| KernelOffer {
                kind: kind.id(),
                version: kind.kernel_version(),
                device: kind.device(),
            })
            .collect()
    }

    /// The protocol identity of a program with these kinds.
    pub fn identity(&self) -> ProtocolIdentity {
        let kernels: Vec<_> =
            self.iter().map(|kind| (kind.id(), kind.name(), kind.kernel_version())).collect();
        let catalogues: Vec<u8> = self
            .iter()
            .filter_map(|kind| kind.catalogue().map(|digest| [&[kind.id().0][..], &digest.0].concat()))
            .flatten()
            .collect();
        ProtocolIdentity::new(&kernels, Digest::of(&catalogues))
    }
}
