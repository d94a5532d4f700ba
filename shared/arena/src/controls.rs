//! What the gamer (or the autopilot) does in one tick.

/// The state of the controls during one tick. Values outside the stated ranges count as the nearest value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Controls {
    /// 1 turns left (counter-clockwise), -1 turns right, 0 keeps the heading.
    pub turn: i8,
    /// 1 accelerates along the heading, -1 brakes and backs off, 0 coasts.
    pub thrust: i8,
    /// Fires whenever the gun has cooled down.
    pub fire: bool,
    /// Launches a missile, if there is one, whenever the launcher is ready.
    pub missile: bool,
    /// Accelerates harder, as long as there is charge.
    pub boost: bool,
    /// Starts a new round; ignored unless the game is over.
    pub restart: bool,
}
