//! Replication of a region's data to another region: the protocol in prose, its messages, its caveats.
//!
//! A *path* joins regions that hold one data set. One of them is *primary*: it takes writes and numbers them, each a
//! batch at a *position* `(epoch, index)` of the write-ahead log. The others are *standbys*: they agree, through their own
//! Raft, on the same batches in the same order, so that a standby region survives the loss of a node as well as a primary
//! does. The leader of each region runs a *core* (`protocol`), which knows no clock, no socket and no storage; the *driver*
//! gives it what happened and does what it says. A core is made from what its region durably agreed on, and dropped when
//! its node's leadership ends: nothing it remembers is needed by the next.
//!
//! # How a standby catches up
//!
//! 1. *Activation.* The standby's operator makes a token, the primary's operator hands it over. A handshake proves it,
//!    carries the keyring, and leaves a credential on both sides (`handshake`). From then on the standby's region has
//!    agreed that this primary's data set may replace its own, and no other's.
//! 2. *Introduction.* The primary says `Hello`: its data set, epoch, history of epochs, head, and how far back its log
//!    reaches. The standby compares that with what it durably holds, and decides: take over everything, or what differs (`BeginSync`), follow
//!    a new primary of the same line (`FollowPrimary`), go on with a sync at its cursor, or take the log.
//! 3. *Full sync,* of a region that holds another data set or nothing. The primary sends its data tree in stretches, each
//!    with the position at which it was read; the standby agrees on them one after the other, the cursor in the same
//!    commit, so that the copy goes on where it was after any loss. Stretches are read at different positions: the standby is whole once it has applied the log from the head at the
//!    beginning to the newest of them. This converges since each stored value carries the position that wrote it, and
//!    nothing older replaces it. Until then the region serves nothing. While clients write to the primary, the copy works a
//!    fifth of the time (`protocol::pacing`).
//! 4. *Diff sync.* A standby that holds the same data set already, if an older state of it or one of another line, takes
//!    over what differs only: both sides' Merkle trees are compared from the root down, then the standby names the entries
//!    that it holds in the buckets that differ, and the primary sends what was not named and says what is gone. The
//!    standby is whole as after a full sync, by replaying the log from where the sync began (`protocol/diff.rs` says why
//!    that needs no tombstones). A comparison that is cut off starts over: what was patched is equal by then. Where so
//!    much differs that reading everything again and again would take longer, a full sync takes its place.
//! 5. *Streaming.* Up to `max_parallel` requests with log entries travel side by side, each as large as makes it take a
//!    quarter of a second (`protocol::batch_size`), all together bounded by what the standby puts in order. It puts them in
//!    order by index, agrees, and answers what is durable. What the primary's log no longer holds leads back to 4.
//!
//! # The messages
//!
//! All are requests from a primary and the answers to them. Each request says its sender's data set, epoch, head (with when
//! that was written, and running totals by class and bytes) and wall clock. Every one may be lost, late, repeated or out of
//! order: what it does depends only on what the receiver durably holds.
//!
//! | message | sender, moment | what it proves or does |
//! |---|---|---|
//! | `Hello` | primary: first on a link, after a change of leader, after failures, to a region that refused now and then | who is primary of which line. Of a higher epoch: the receiver fences itself before it answers. May begin a sync, or make a standby follow a new primary |
//! | `Copy` | primary in a full sync, each stretch until it is answered as done | the tree between two keys at a position. Agreed on only at the cursor of the sync it names |
//! | `Compare` | primary in a diff sync, one at a time | asks what the standby wants next. Brings the nodes of its Merkle tree that were wanted, with the position they were read at |
//! | `Patch` | primary in a diff sync, each part until it is answered as done | what it holds of some buckets at a position and the standby does not, and what of the standby's is gone. Agreed on in order, and only as the answer to the standby's newest question |
//! | `Verify` | primary in a verification, one at a time, while streaming | asks the standby to keep the moment of a position, then what its disk holds of it, at last to take over what differs (`protocol/verify.rs`) |
//! | `Append` | primary while streaming, each stretch of the log until it is answered as done | these batches are durable in the primary region. Agreed on only behind what is applied, without a gap |
//! | `Heartbeat` | primary, each half second | the primary is alive, and this is its head: a lag that is not renewed is unknown, not zero. May carry a Merkle root to compare |
//! | answer | the receiver, when its region agreed, or could not in time | where the region stands: role, epoch, received, applied, sync, what it asks for. All of it is durable, so a primary may forget what lies before it. A fenced region's answer is the proof that it takes no more writes, and says where it stopped |
//! | … `Log { from }` | a standby that is ready | it lacks the log from here |
//! | … `Copy { after }` | a standby in a sync | it lacks the tree behind this key |
//! | … `Compare` | a standby in a diff sync | it is to be asked what it wants next |
//! | … `Nodes { parents }` | a standby, asked what it wants next | it lacks the hashes below these nodes |
//! | … `Diff { buckets }` | the same, once it knows which buckets differ | it holds what it names there, and lacks the rest |
//! | … `Verified(…)` | a standby, asked by `Verify` | what its disk holds at that position |
//! | … `Hello` | a standby that does not know, or no longer, what the sender is to it | nothing was done: introduce yourself |
//! | … `Refused(Epoch)` | a region of a higher epoch | the sender's time is over: it fences itself. Names the primary |
//! | … `Refused(SameEpoch)` | a primary, to another primary of its epoch | an alarm: two promotions did not see each other |
//! | … `Refused(Fenced)` | a fenced region that holds what the sender lacks | it waits for its operator; what its ledger holds |
//! | … `Refused(…)` | other data set, other version, frozen by a promotion, busy | nothing was done, and why |
//!
//! While a switchover goes on, the standby's answers say what it asks for, and the primary's requests say what it makes of
//! that: it waits, it gave up and where, or it refuses.
//!
//! # Several standbys
//!
//! Beside the stream, a primary tells each standby now and then how it is reached and by which certificates, and the answer
//! says the same of the standby (`news`): so link records stay up to date. It also introduces its standbys to each other,
//! with a credential for each pair that it derives from those it holds. Whichever is promoted dials the others, and they
//! follow it. All bodies are encrypted under the link's credential (`envelope`), which the news renew once a day
//! (`credential`).
//!
//! # Epochs and fencing
//!
//! A promotion raises the epoch by one, durably, and no region's epoch of a data set ever goes down. Epochs are compared in
//! one place, before anything else is looked at. Who hears of a higher epoch first makes it durable, a primary by fencing
//! itself, and answers only then; so an answer to a message of an epoch proves that its sender acknowledges nothing in any
//! older one. A new primary dials every region it has a credential for, the old primary among them, over the same link the
//! other way round; and an old primary that dials learns the same from the answer. Client writes name the epoch they were
//! evaluated in, and apply refuses them in any other.
//!
//! # Failover
//!
//! The standby's operator sees a plan: checks, and what would be lost, by class (`protocol::Core::plan`). The promotion
//! carries the plan's hash, and is refused if the facts changed. It first freezes the incoming stream, then proposes the
//! next epoch, guarded by the path's record as it was when the loss was fixed, with a record under the id of who asked: so
//! to ask twice promotes once, and what the record says of the fork is so. It is done, refused, or unknown, and unknown is
//! never taken for either of the others. Its region may be a standby, or a fenced one whose new primary is gone for good:
//! then nobody can say what is lost, and whoever comes back is fenced in its turn.
//!
//! # Meeting again
//!
//! Histories say which region opened each epoch, so that two lines are told apart even where two regions opened the same
//! one. A region that hears the introduction of another line's primary finds the fork (`state::line`). If it holds nothing
//! behind it, it follows, the old primary as well. Else it first agrees on copies of its log behind the fork, a bounded
//! stretch at a time: the ledger (`state::ledger`), without which `PathState::change` lets no region leave its line. A
//! standby, whose surplus is what it had received and the promoted one had not, then syncs by itself. A fenced region says
//! `Refused(Fenced)` with what its ledger holds, and waits until its operator lets it rejoin; over entries that nobody
//! reviewed only with a reason. The next introduction leads to a diff sync.
//!
//! A replay (`ledger`, `accept`, `look`) sends entries to the new primary with the operator's token. They are written there only
//! over values that both lines share, or over earlier entries of the same ledger; which entries were taken is agreed on in
//! the same commit, so that none is written twice.
//!
//! # Switchover
//!
//! Asked at the standby, which agrees that it asks. The primary hears it in an answer, waits until the standby has nearly
//! all, and agrees that it gave up: it is fenced in its own epoch, and what its region agreed on before is what there is.
//! It goes on shipping. The standby applies up to there, compares its Merkle root with the primary's, and agrees on the
//! next epoch. The old primary hears of it, and since nothing of its own lies behind the fork, follows by itself.
//!
//! Whatever else happens ends in the standby's agreement that it asks no more: at its deadline, by its operator, by roots
//! that differ. Only a region that asks can open an epoch so; so once the primary hears, in the epoch that it gave up, that
//! the standby asks no more, it takes its right back. Before it gave up it may refuse as well. What each side agreed on is
//! in all that it sends: no message has to arrive, and no leader has to stay. The pause in which no region takes writes is
//! measured by both sides' steady clocks and put on record. See `protocol/handover`.
//!
//! # Restart
//!
//! While a whole region is down, another may be promoted. So a primary of which no node ran on takes no client writes
//! (`consensus::gate`) before each region that it has an activated link with, paused or not, answered in its epoch, or an
//! operator overrode that with a reason, which is kept. Each node remembers in memory the epoch in which it saw its region
//! open, and the nodes tell each other, so that a changed leader, or one node that restarted, closes nothing. A region that
//! is promoted or initialised is open from the start. See `protocol::opening`.
//!
//! # Caveats
//!
//! * Replication is asynchronous: a failover can lose the newest acknowledged writes. A standby can't know what a silent
//!   primary wrote since it was heard: the loss is “at least so many”.
//! * Without a witness, a primary that is cut off goes on acknowledging in its own epoch until it meets a higher one.
//! * Without a witness, operators who promote two standbys at the same time open one epoch twice. The regions notice when
//!   they meet, refuse each other and raise an alarm, and people must choose. Promote one standby at a time.
//! * The restart rule counts a region as running while one of its nodes does. A node that was cut off from its region all
//!   the while keeps it open as well.
//! * A standby does not follow the log while a copy goes on; the primary's log must hold what is written meanwhile, or a
//!   diff sync begins over what was copied. Its bounds (`retention`) are in bytes and in time, so a long copy of a busy primary needs large
//!   ones; the status forecasts when a standby that lags leaves the log (`forecast`).
//! * From the primary's agreement that it gave up to the standby's opening or declining no region takes writes. If the two
//!   lose each other just then, the standby declines at its deadline, but the primary can't hear that before they meet
//!   again; its operator may promote it by force, over whatever the standby may have opened.
//! * A fenced region that holds what the new primary lacks waits for its operator. Its log and data stay as they are.
//! * What lies behind a fork and is in no log any more is in no ledger either, which counts it. Half a copy is no state:
//!   what a standby had copied of a line that is left, and not yet applied as log, is neither kept nor counted.
//! * A replay writes what was written, not what was meant: whoever read something else meanwhile and acted on it, or a
//!   mount or a policy that changed since, is not looked at.

pub mod credential;
pub mod crypto;
pub mod envelope;
pub mod events;
pub mod handshake;
pub mod link_record;
pub mod ports;
mod probe;
pub mod protocol;
pub mod retention;
pub mod token;
pub mod token_records;
pub mod transport;

mod accept;
mod activation;
mod context;
mod decoders;
mod driver;
mod face;
mod facts;
mod forecast;
mod inbound;
mod jobs;
mod kept;
mod ledger;
mod ledger_wire;
mod links;
mod look;
mod news;
mod opening;
mod promotion;
mod rates;
mod reads;
mod status;
mod verification;

pub use decoders::DECODERS;
pub use face::Replication;
pub use ports::{KeyringPort, RegionConfig};
