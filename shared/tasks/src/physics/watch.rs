//! Watches a tick of the engine from within: its search for contacts takes most of a tick and asks a dispatcher pair by
//! pair, so the dispatcher can end the tick early. It does so when the task is stopped, and when more pairs are in contact
//! than the solver, which cannot be interrupted, may take together. The engine's hooks are no alternative: bodies with hooks
//! have their contacts computed anew in every tick, which changes outcomes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rapier3d::geometry::{ContactData, ContactManifold, ContactManifoldData};
use rapier3d::parry::query::details::{ContactManifoldsWorkspace, NormalConstraints, ShapeCastOptions};
use rapier3d::parry::query::{
    ClosestPoints, Contact, DefaultQueryDispatcher, NonlinearRigidMotion, PersistentQueryDispatcher,
    QueryDispatcher, ShapeCastHit, ShapeDistance, ShapeIntersection, Unsupported,
};
use rapier3d::prelude::{Pose, Real, Shape, Vector};

use super::PAIRS_IN_CONTACT_MAX;
use crate::fuel::Stop;

/// What the dispatcher of a world shares with whoever runs its ticks. Clones share one count.
#[derive(Clone)]
pub(super) struct TickWatch {
    stop: Stop,
    /// Pairs found in contact in this tick.
    in_contact: Arc<AtomicUsize>,
}

impl TickWatch {
    pub fn new(stop: &Stop) -> Self {
        Self { stop: stop.clone(), in_contact: Arc::default() }
    }

    /// The engine's own dispatcher until the tick is to end early; from then on it finds no contacts. The result of such a
    /// tick is wrong: the caller discards it if the task was stopped or [`Self::is_crowded`].
    pub fn dispatcher(&self) -> impl PersistentQueryDispatcher<ContactManifoldData, ContactData> + use<> {
        Watched(self.clone()).chain(DefaultQueryDispatcher)
    }

    /// Begins to count the pairs of another tick.
    pub fn begin_tick(&self) {
        self.in_contact.store(0, Ordering::Relaxed);
    }

    /// Whether the tick had more than [`PAIRS_IN_CONTACT_MAX`] pairs in contact. The count does not depend on the order of
    /// the pairs, so it is the same on every machine.
    pub fn is_crowded(&self) -> bool {
        self.in_contact.load(Ordering::Relaxed) > PAIRS_IN_CONTACT_MAX
    }
}

/// Computes the manifolds of contacts, and leaves all other queries to the dispatcher behind it.
struct Watched(TickWatch);

impl PersistentQueryDispatcher<ContactManifoldData, ContactData> for Watched {
    fn contact_manifolds(
        &self,
        pose: &Pose,
        one: &dyn Shape,
        other: &dyn Shape,
        prediction: Real,
        manifolds: &mut Vec<ContactManifold>,
        workspace: &mut Option<ContactManifoldsWorkspace>,
    ) -> Result<(), Unsupported> {
        if self.0.stop.is_stopped() || self.0.is_crowded() {
            // As where two bodies have parted: the solver takes only pairs with points.
            manifolds.iter_mut().for_each(ContactManifold::clear);
            return Ok(());
        }
        DefaultQueryDispatcher.contact_manifolds(pose, one, other, prediction, manifolds, workspace)?;
        if manifolds.iter().any(|manifold| !manifold.points.is_empty()) {
            self.0.in_contact.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn contact_manifold_convex_convex(
        &self,
        _: &Pose,
        _: &dyn Shape,
        _: &dyn Shape,
        _: Option<&dyn NormalConstraints>,
        _: Option<&dyn NormalConstraints>,
        _: Real,
        _: &mut ContactManifold,
    ) -> Result<(), Unsupported> {
        Err(Unsupported)
    }
}

impl QueryDispatcher for Watched {
    fn intersection_test(
        &self,
        _: &Pose,
        _: &dyn Shape,
        _: &dyn Shape,
    ) -> Result<ShapeIntersection, Unsupported> {
        Err(Unsupported)
    }

    fn distance(&self, _: &Pose, _: &dyn Shape, _: &dyn Shape) -> Result<ShapeDistance, Unsupported> {
        Err(Unsupported)
    }

    fn contact(
        &self,
        _: &Pose,
        _: &dyn Shape,
        _: &dyn Shape,
        _: Real,
    ) -> Result<Option<Contact>, Unsupported> {
        Err(Unsupported)
    }

    fn closest_points(
        &self,
        _: &Pose,
        _: &dyn Shape,
        _: &dyn Shape,
        _: Real,
    ) -> Result<ClosestPoints, Unsupported> {
        Err(Unsupported)
    }

    fn cast_shapes(
        &self,
        _: &Pose,
        _: Vector,
        _: &dyn Shape,
        _: &dyn Shape,
        _: ShapeCastOptions,
    ) -> Result<Option<ShapeCastHit>, Unsupported> {
        Err(Unsupported)
    }

    fn cast_shapes_nonlinear(
        &self,
        _: &NonlinearRigidMotion,
        _: &dyn Shape,
        _: &NonlinearRigidMotion,
        _: &dyn Shape,
        _: Real,
        _: Real,
        _: bool,
    ) -> Result<Option<ShapeCastHit>, Unsupported> {
        Err(Unsupported)
    }
}
