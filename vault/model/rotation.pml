/*
 * The rotation of one credential: the engine in two processes, the vault, and the provider. README.md says what is
 * modelled and what is not; `check` runs it. States and events are named as in docs/rotation.md, with `_` for `.`.
 *
 * Each `atomic` is one step that nothing interrupts: one entry of the journal, one request that the provider acts on,
 * or one half of a look at it. Between any two steps a process may die, a lease may be taken over, a late request may
 * act, or a set may expire.
 *
 * Switches:
 *   READING   what a replaced set is called: FRESH_ID, KEPT_ID, NAMES_PRIMARY or BOTH; see `provider`
 *   SWAPS     PATCH on a replaced set swaps back
 *   LATE      which requests may act late: a sum of the LATE_… below
 *   FLAPS     a good pair may be refused or given up even while a promotion that was not seen acts, or may still act
 *   MARGIN    no set expires between a look and the DELETE that follows it
 *   WEAK      checks law 3 to the letter, without the stronger form that names the pair
 *   UNSEEN    does not check law 5 for a pair that was never active
 *   IMPATIENT does not wait until a set that a late POST made expires
 *   CONTAIN   a run may end a leaked pair before its replacement is proved: laws 2 and 3 do not bind it
 *   LEAK      a run may end a leaked pair: without grace; its deletion rests on what verification saw; and it deletes a
 *             set that nobody has saved, and does not take it over
 *   FAULTS_STAY   faults never stop, so nothing has to finish
 *   COVERAGE  prints which lines of the table were taken
 *   BREAK_…   a mistake that the checks must find
 */

#define FRESH_ID 0
#define KEPT_ID 1
#define NAMES_PRIMARY 2
#define BOTH 3
#ifndef READING
#define READING FRESH_ID
#endif

#define LATE_STAGE 1
#define LATE_PROMOTE 2
#define LATE_DELETE 4 /* of a pair that the journal names */
#define LATE_CLEAR 8 /* of an expired set */
#define LATE_UNFIT 16 /* of a new set whose secret was not shown */
#ifndef LATE
#define LATE (LATE_STAGE + LATE_PROMOTE + LATE_DELETE + LATE_CLEAR)
#endif

mtype = {
  none,
  /* states; those that are events too are declared once */
  ready, staging, staged, validating, validated, promoting, promoted, verifying, owed, retiring, deleted, proving,
  settled, rejected, discarding, failed,
  /* events */
  stage_intended, validate_intended, promote_intended, verify_intended, retire_intended, prove_intended,
  discard_intended,
  stage_lost, promote_lost, retire_lost, discard_lost,
  stage_postponed, validate_postponed, promote_postponed, verify_postponed, retire_postponed, prove_postponed,
  discard_postponed,
  verified, refused, discarded, abandoned,
  /* what a process is about to do */
  idle, woken, beginning, deciding, looking, looked, concluding, clearing, asking, answered, removing, removed,
  granting, checking, probing,
  /* answers */
  ok, occupied, not_found, limited, lost, accepted, is_back, no_proof,
  /* what sits in the provider's slot */
  Active, Rotated, Expired
}

/*
 * The table: one T(state, event, next) a line. Tests/RotationTests reads these lines and compares them with the engine.
 * All terms except one are 0. If all are 0, the event is illegal in this state.
 */
#ifdef COVERAGE
c_decl { static unsigned char taken[256][256]; }
mtype entry;
#endif
#define T(now, what, next) (state == now && event == what) * next +

inline transition(event) {
#ifdef COVERAGE
  entry = event;
  c_code { if (!taken[now.state][now.entry]) { taken[now.state][now.entry] = 1; printf("taken: %d %d\n", now.state, now.entry); } };
  entry = 0;
#endif
  state =
  T(ready, stage_intended, staging)
  T(ready, stage_postponed, ready)
  T(ready, abandoned, failed)
  T(staging, staged, staged)
  T(staging, stage_lost, staging)
  T(staging, stage_postponed, ready)
  T(staged, validate_intended, validating)
  T(staged, abandoned, rejected)
  T(validating, validate_intended, validating)
  T(validating, validated, validated)
  T(validating, rejected, rejected)
  T(validating, validate_postponed, staged)
  T(validated, promote_intended, promoting)
  T(validated, validate_intended, validating)
  T(validated, abandoned, rejected)
  T(promoting, promoted, promoted)
  T(promoting, promote_lost, promoting)
  T(promoting, rejected, rejected)
  T(promoting, promote_postponed, staged)
  T(promoted, verify_intended, verifying)
  T(verifying, verify_intended, verifying)
  T(verifying, verified, owed)
  T(verifying, verify_postponed, promoted)
  T(owed, retire_intended, retiring)
  T(retiring, deleted, deleted)
  T(retiring, retire_lost, retiring)
  T(retiring, retire_postponed, owed)
  T(deleted, prove_intended, proving)
  T(proving, prove_intended, proving)
  T(proving, refused, settled)
  T(proving, prove_postponed, deleted)
  T(proving, retire_postponed, owed)
  T(rejected, discard_intended, discarding)
  T(discarding, discarded, failed)
  T(discarding, discard_lost, discarding)
  T(discarding, discard_postponed, rejected)
#ifdef CONTAIN
  T(staged, promote_intended, promoting)
  T(validating, promote_intended, promoting)
  T(promoted, retire_intended, retiring)
  T(verifying, retire_intended, retiring)
#endif
  0;
  assert(state != 0) /* table: the journal holds what the table forbids */
}

/*
 * Pairs are numbers from 1 to PAIRS; 0 is no pair. The identifier of a set is its pair's number. A replaced set may get
 * a fresh identifier, which is RENAMED more. A number is used again once nothing refers to it, so that the number of
 * rotations has no bound.
 */
#define PAIRS 7
#define RENAMED 8

/* MARK: The vault: what is durable. A retired pair is in none of the three stages. */

mtype state = settled;
byte activePair = 1, stagedPair, previousPair;
byte lease; /* the fencing number of its holder; 0 if it is free */

/* MARK: The provider */

byte primary = 1, slot, slotID;
mtype slotKind = none;
byte former; /* an identifier that names the primary pair */
byte lingering; /* a deleted pair that not every server has forgotten */
byte badPair; /* never accepted */
bool livesOn = true; /* a replaced pair is accepted until it is deleted or expires */

/* A request that acts when nobody expects it any more: its answer was given up, or its sender woke up late. */
mtype late = none;
byte lateID;

/* MARK: What only the checks see, and not the engine */

bool isSaved; /* the staged pair is durable */
bool isProved; /* it was granted a token after promotion was last requested */
bool isTried; /* promotion was requested */
bool isStray; /* the set in the slot was made by a late POST */
#ifdef CONTAIN
bool isContained; /* what the vault has may be refused, until a pair was seen to be accepted */
#define IS_EXEMPT isContained
#define CONTAINS(r) at[r].contains
#else
#define IS_EXEMPT false
#define CONTAINS(r) false
#endif
#ifdef LEAK
#define LEAKS(r) at[r].leaks
#else
#define LEAKS(r) false
#endif
byte hand; /* who took the lease last */

/* From some moment on nothing fails any more, and one process is left: by symmetry, the first. */
bool calm;
bool isExcused; /* the run that was in progress then may still end short of its goal */
bool isFinished;
byte steps; /* since then */
#define SURVIVOR 0
#define STEPS 120

typedef Run {
  mtype doing = idle;
  byte fencing;
#ifdef CONTAIN
  bool contains; /* ends the replaced pair before its replacement is proved */
#endif
#ifdef LEAK
  bool leaks; /* ends a leaked pair */
#endif
  bool endsGrace; /* the grace is over, or an operator says so */
  bool hasStaged; /* the last step it requested is `stage` */
  bool isSecondLook;
  bool seenPromoted;
  /* What it last saw. */
  byte primary, slot, slotID;
  mtype slotKind = none;
  /* What it is about to request, and the answer. */
  mtype step = none;
  byte id;
  mtype answer = none;
  byte made
}
Run at[2];

#define ACCEPTED(p) \
  ((p) != 0 && (p) != badPair && ((p) == primary || ((p) == slot && slotKind != Expired) || (p) == lingering))
#define OTHER(r) (1 - (r))
#define IS_HOLDER(r) (lease != 0 && at[r].fencing == lease)
#ifdef BREAK_NO_FENCING
#define MAY_WRITE(r) true
#else
#define MAY_WRITE(r) IS_HOLDER(r)
#endif
#ifdef BREAK_LEASE_KEPT
#define MAY_TAKE (lease == 0)
#else
#define MAY_TAKE true
#endif
#ifdef FLAPS
#define MAY_FLAP (!calm)
#else
#define MAY_FLAP (!calm && late != promote_intended && primary != stagedPair)
#endif

#define USES(r, p) \
  (at[r].id == p || at[r].id == p + RENAMED || at[r].made == p || at[r].primary == p || at[r].slot == p || \
   at[r].slotID == p || at[r].slotID == p + RENAMED)
/* Whether nothing refers to this number. */
#define IS_FREE(p) \
  (p != activePair && p != stagedPair && p != previousPair && p != primary && p != slot && p != lingering && \
   p != former && p != slotID && p + RENAMED != slotID && p != lateID && p + RENAMED != lateID && \
   !USES(0, p) && !USES(1, p))

inline forget_view(r) {
  at[r].primary = 0; at[r].slot = 0; at[r].slotID = 0; at[r].slotKind = none
}

inline forget(r) {
  forget_view(r);
  at[r].step = none; at[r].id = 0; at[r].answer = none; at[r].made = 0;
  at[r].endsGrace = false; at[r].hasStaged = false; at[r].isSecondLook = false; at[r].seenPromoted = false
}

/* A run ends, or its process dies. A dead holder's lease is as good as free: the next run takes it. */
inline stop(r) {
#ifndef BREAK_LEASE_KEPT
  lease = (IS_HOLDER(r) -> 0 : lease);
#endif
  forget(r);
  at[r].doing = idle; at[r].fencing = 0;
#ifdef CONTAIN
  at[r].contains = false;
#endif
#ifdef LEAK
  at[r].leaks = false;
#endif
#ifdef BREAK_SAVE_AFTER_PROMOTE
  /* What was only in the process's memory is lost. */
  if
  :: stagedPair != 0 && !isSaved -> stagedPair = 0
  :: else
  fi
#endif
}

/* A run that ends short of its goal. Once nothing fails any more it has no reason to. */
inline give_up(r) {
  assert(!calm || isExcused); /* finish: a run gave up although nothing fails */
  stop(r);
  isExcused = false
}

/* One entry of the journal: a transaction, refused unless the lease is held. */
inline commit(r, what) {
  printf("%d journals %e\n", r, what);
  assert(r == hand); /* law 7 */
  transition(what)
}

inline count_step() {
  if
  :: calm -> steps++; assert(steps < STEPS) /* finish: it goes round without end */
  :: else
  fi
}

inline save(p) {
  assert(stagedPair == 0);
  stagedPair = p;
  isProved = false; isTried = false;
#ifndef BREAK_SAVE_AFTER_PROMOTE
  isSaved = true
#endif
}

inline drop_staged() {
  stagedPair = 0; isSaved = false; isProved = false; isTried = false
}

inline mark_promoted() {
  assert(previousPair == 0);
  previousPair = activePair;
  activePair = stagedPair;
  drop_staged()
}

inline mark_discarded() {
#ifndef UNSEEN
  assert(stagedPair == 0 || (primary != stagedPair && slot != stagedPair)); /* law 5, of a pair that never was active */
#endif
  drop_staged()
}

/* MARK: What the provider does */

byte candidate;

inline clear_slot() {
  slot = 0; slotID = 0; slotKind = none; isStray = false
}

/* POST: a new pair in the slot, unless something is in it. */
inline post(pair, outcome) {
  if
  :: slot != 0 -> outcome = occupied
  :: else ->
     candidate = 1;
     do
     :: IS_FREE(candidate) -> break
     :: else -> candidate++; assert(candidate <= PAIRS) /* PAIRS is too small */
     od;
     pair = candidate; slot = candidate; slotID = candidate; slotKind = Active;
     candidate = 0;
     printf("provider: POST makes pair %d\n", slot);
     badPair = (badPair != lingering && badPair != primary -> 0 : badPair);
     if
     :: !calm && badPair == 0 -> badPair = slot
     :: true
     fi;
     outcome = ok
  fi
}

/* PATCH: the set and the primary pair change places. */
inline patch(name, outcome, pair) {
  if
  :: slot != 0 && slotID == name ->
     if
#ifdef SWAPS
     :: slotKind == Active || slotKind == Rotated ->
#else
     :: slotKind == Active ->
#endif
        pair = primary;
        primary = slot;
        printf("provider: PATCH of set %d makes pair %d primary\n", slotID, primary);
        isStray = false;
#if READING == NAMES_PRIMARY || READING == BOTH
        former = slotID;
#endif
        if
        :: pair != 0 && livesOn ->
           slot = pair;
           slotKind = Rotated;
#if READING == FRESH_ID || READING == NAMES_PRIMARY
           slotID = slot + RENAMED
#endif
        :: else -> clear_slot()
        fi;
        pair = 0;
        outcome = ok
     :: else -> outcome = not_found
     fi
  :: else -> outcome = not_found
  fi
}

/* DELETE. If the identifier of a promoted set still names it now that it is primary, the primary pair is gone. */
inline delete(name, outcome) {
  if
  :: slot != 0 && slotID == name ->
     if
     :: !calm && slotKind != Expired && lingering == 0 -> lingering = slot
     :: true
     fi;
     printf("provider: DELETE of set %d removes pair %d\n", slotID, slot);
     clear_slot();
     outcome = ok
  :: else ->
     if
     :: former != 0 && former == name ->
        printf("provider: DELETE of set %d removes the primary pair %d\n", former, primary);
        primary = 0; former = 0;
        outcome = ok
     :: else -> outcome = not_found
     fi
  fi
}

/* MARK: What must hold */

/*
 * Law 3: some pair in the vault is accepted. The stronger form says which: the active one, or the staged one once its
 * promotion was requested.
 */
inline check_laws() {
  assert(IS_EXEMPT || ACCEPTED(activePair) || ACCEPTED(stagedPair) || ACCEPTED(previousPair)); /* law 3 */
#ifndef WEAK
  assert(IS_EXEMPT || ACCEPTED(activePair) || (isTried && ACCEPTED(stagedPair))); /* law 3, stronger form */
#endif
  assert(!(IS_HOLDER(0) && IS_HOLDER(1))) /* law 7 */
}

/* MARK: The engine */

#define SWAPPED(p) \
  (p == 1 -> activePair : (p == activePair -> 1 : \
   (p == 1 + RENAMED -> activePair + RENAMED : (p == activePair + RENAMED -> 1 + RENAMED : p))))

/* Numbers have no meaning beyond identity: the active pair becomes 1, which leaves fewer states to visit. */
inline renumber() {
  primary = SWAPPED(primary); slot = SWAPPED(slot); slotID = SWAPPED(slotID); former = SWAPPED(former);
  lingering = SWAPPED(lingering); badPair = SWAPPED(badPair); lateID = SWAPPED(lateID);
  at[0].id = SWAPPED(at[0].id); at[1].id = SWAPPED(at[1].id);
  at[0].primary = SWAPPED(at[0].primary); at[1].primary = SWAPPED(at[1].primary);
  at[0].slot = SWAPPED(at[0].slot); at[1].slot = SWAPPED(at[1].slot);
  at[0].slotID = SWAPPED(at[0].slotID); at[1].slotID = SWAPPED(at[1].slotID);
  at[0].made = SWAPPED(at[0].made); at[1].made = SWAPPED(at[1].made);
  activePair = 1
}

/* A request that `r` has in hand stays on its way when `r` no longer waits for it. It replaces an earlier one. */
inline send_late(r) {
  if
  :: (LATE & LATE_CLEAR) && at[r].doing == clearing -> late = clearing; lateID = at[r].id
  :: (LATE & LATE_UNFIT) && at[r].doing == removing -> late = removing; lateID = at[r].id
  :: (LATE & LATE_STAGE) && (at[r].doing == clearing || (at[r].doing == asking && at[r].step == stage_intended)) ->
     late = stage_intended; lateID = 0
  :: (LATE & LATE_PROMOTE) && at[r].doing == asking && at[r].step == promote_intended ->
     assert(isSaved); /* law 1 */
     late = promote_intended; lateID = at[r].id
  :: (LATE & LATE_DELETE) && at[r].doing == asking &&
     (at[r].step == retire_intended || at[r].step == discard_intended) ->
     late = retire_intended; lateID = at[r].id
  :: true
  fi
}

/* The outcome is unknown, so the next step is a look. */
inline look_again(r) {
  forget_view(r); at[r].doing = looking
}

proctype Runner(byte me) {
  do
  /*
   * Take the lease: it is free, or its holder is dead, or was silent too long and may wake. Only the equality of fencing
   * numbers is ever asked: two are enough as long as one in use is not given out again.
   */
  :: atomic {
       at[me].doing == idle && MAY_TAKE && (!calm || (me == SURVIVOR && !isFinished)) ->
       count_step();
#ifndef BREAK_NO_FENCING
       /* A run that lost its lease can still send the request it has in hand. After that it is refused. */
       if
       :: at[OTHER(me)].doing != idle ->
          send_late(OTHER(me));
          forget(OTHER(me));
          at[OTHER(me)].doing = woken
       :: else
       fi;
#endif
       lease = (at[OTHER(me)].fencing == 1 -> 2 : 1);
       at[me].fencing = lease;
       hand = me;
       printf("%d takes the lease\n", me);
#ifdef CONTAIN
       if
       :: at[me].contains = true
       :: true
       fi;
#endif
#ifdef LEAK
       if
       :: at[me].leaks = true; at[me].endsGrace = true
       :: true
       fi;
#endif
       if
       :: state == settled || state == failed -> at[me].doing = beginning
       :: else ->
          at[me].doing = deciding;
          if
          :: !calm -> skip
          :: at[me].endsGrace = true
          fi
       fi
     }

  /* The first transaction of a run that lost its lease. */
  :: atomic { at[me].doing == woken -> assert(!IS_HOLDER(me)); stop(me) }

  /* A new rotation. */
  :: atomic {
       at[me].doing == beginning && MAY_WRITE(me) ->
       count_step();
       assert(me == hand); /* law 7 */
       assert((state == settled || state == failed) && stagedPair == 0 && previousPair == 0);
       printf("%d begins a rotation\n", me);
       state = ready;
       renumber();
       at[me].doing = deciding;
       at[me].endsGrace = (calm || LEAKS(me))
     }

  /* RotationMachine.nextAction, and the first half of a look if the action is one. */
  :: atomic {
       at[me].doing == deciding && MAY_WRITE(me) ->
       count_step();
       if
       :: state == settled || state == failed ->
          if
          :: calm ->
             isFinished = true; steps = 0;
             assert(stagedPair == 0 && previousPair == 0); /* law 5: a debt is left */
             assert(primary == activePair && ACCEPTED(activePair)); /* finish: the active pair is primary */
             assert(slot == 0 || slotKind == Expired || isStray) /* finish: the slot is free for the next rotation */
          :: else
          fi;
          stop(me)
       :: MAY_FLAP && (state == ready || state == staged || state == validated) -> commit(me, abandoned)
       :: state == owed && !at[me].endsGrace && !CONTAINS(me) ->
          if
          :: calm -> at[me].endsGrace = true
          :: else -> give_up(me) /* its outcome is `promoted` */
          fi
       :: !CONTAINS(me) &&
          (state == staged || state == validating || (state == validated && !calm)) -> /* perhaps the proof is old */
          commit(me, validate_intended);
#ifdef BREAK_PROMOTE_BEFORE_VALIDATE
          commit(me, validated)
#else
          at[me].doing = granting
#endif
       :: !CONTAINS(me) && (state == promoted || state == verifying) ->
          commit(me, verify_intended);
          if
          :: LEAKS(me) -> at[me].primary = primary; at[me].doing = looked
          :: else -> at[me].doing = checking
          fi
       :: state == deleted || state == proving -> commit(me, prove_intended); at[me].doing = probing
       :: state == ready || state == staging || state == validated || state == promoting ||
          (state == owed && (at[me].endsGrace || CONTAINS(me))) || state == retiring || state == rejected ||
          state == discarding ||
          (CONTAINS(me) && (state == staged || state == validating || state == promoted || state == verifying)) ->
          at[me].primary = primary;
          at[me].doing = looked
       fi
     }
  :: atomic {
       at[me].doing == looking && MAY_WRITE(me) ->
       count_step();
       at[me].primary = primary;
       at[me].doing = looked
     }

  /* A look is two requests: the primary pair is read first, the slot later. */
  :: atomic {
       at[me].doing == looked && MAY_WRITE(me) ->
       count_step();
       printf("%d saw pair %d primary, and sees pair %d in the slot\n", me, at[me].primary, slot);
       at[me].slot = slot; at[me].slotID = slotID; at[me].slotKind = slotKind;
       at[me].doing = concluding
     }

  /* What follows from the look: the intent, or the entry that clears up an unknown outcome. */
  :: atomic {
       at[me].doing == concluding && MAY_WRITE(me) ->
       count_step();
       if
       :: state == ready ->
          if
          :: at[me].primary != activePair || at[me].slotKind == Rotated || at[me].slotKind == Active ->
             /* A foreign primary pair, an occupied slot, or a foreign staged pair: only time resolves it there. */
             if
#ifndef IMPATIENT
             :: calm && isStray && at[me].primary == activePair -> slotKind = Expired
#endif
             :: else -> assert(!calm || isExcused) /* finish: something stands in the way */
             fi;
             if
             :: commit(me, stage_postponed)
             :: true
             fi;
             stop(me); isExcused = false
          :: else ->
             commit(me, stage_intended);
             at[me].step = stage_intended; at[me].hasStaged = true;
#ifdef BREAK_EXPIRED_LEFT
             at[me].doing = asking
#else
             if
             :: at[me].slotKind == Expired -> at[me].id = at[me].slotID; at[me].doing = clearing
             :: else -> at[me].doing = asking
             fi
#endif
          fi
#ifdef LEAK
       /* What was seen is kept: the deletion that follows rests on it. */
       :: state == verifying && LEAKS(me) ->
          at[me].seenPromoted = false;
          if
          :: at[me].primary == activePair && ACCEPTED(activePair) -> commit(me, verified)
          :: !calm || at[me].primary != activePair || !ACCEPTED(activePair) -> commit(me, verify_postponed); give_up(me)
          fi
#endif
       :: state == staging && LEAKS(me) && at[me].slotKind == Active && at[me].slot != activePair ->
          /* Anyone who has the administrator's pair may have made it. */
          if
          :: at[me].primary != activePair -> give_up(me)
          :: else -> commit(me, stage_lost); at[me].id = at[me].slotID; at[me].doing = removing
          fi
       :: state == staging && !(LEAKS(me) && at[me].slotKind == Active && at[me].slot != activePair) ->
          if
          :: at[me].slotKind == Active && at[me].slot != activePair ->
             if
             :: at[me].primary != activePair -> give_up(me)
             :: at[me].primary == activePair ->
                save(at[me].slot); commit(me, staged); at[me].doing = deciding
             :: !calm && at[me].primary == activePair -> /* its secret is not shown */
                if
                :: at[me].hasStaged -> commit(me, stage_lost); at[me].id = at[me].slotID; at[me].doing = removing
                :: else -> give_up(me)
                fi
             fi
          :: else -> commit(me, stage_postponed); at[me].doing = deciding
          fi
       :: state == validated || (CONTAINS(me) && (state == staged || state == validating)) ->
#ifdef CONTAIN
          isContained = (state == validated -> isContained : true);
#endif
          commit(me, promote_intended);
          if
          :: at[me].slot == stagedPair && at[me].slotKind == Active ->
             isTried = true;
             at[me].step = promote_intended; at[me].id = at[me].slotID; at[me].hasStaged = false; at[me].doing = asking
          :: else -> at[me].doing = concluding
          fi
       :: state == promoting ->
          if
          :: at[me].primary == stagedPair ->
             mark_promoted(); commit(me, promoted); at[me].seenPromoted = true; at[me].doing = deciding
          :: at[me].primary != stagedPair && at[me].slot == stagedPair && at[me].slotKind == Active ->
             commit(me, promote_postponed); at[me].doing = deciding
          :: else ->
             if
             :: at[me].primary != activePair -> give_up(me)
#ifndef BREAK_ONE_LOOK
             :: at[me].primary == activePair && !at[me].isSecondLook -> at[me].isSecondLook = true; look_again(me)
             :: at[me].primary == activePair && at[me].isSecondLook ->
#else
             :: at[me].primary == activePair ->
#endif
                commit(me, rejected); at[me].doing = deciding
             fi
          fi
       :: state == owed || (CONTAINS(me) && (state == promoted || state == verifying)) ->
#ifdef BREAK_REMEMBERED_ID
          /* The identifier under which the active pair was staged: one account says that it names what it replaced. */
          commit(me, retire_intended);
          at[me].step = retire_intended; at[me].id = activePair; at[me].doing = asking
#else
          if
          :: at[me].primary != activePair -> give_up(me)
          :: at[me].primary == activePair && at[me].slot != previousPair ->
             commit(me, retire_intended); at[me].doing = concluding
          :: at[me].primary == activePair && at[me].slot == previousPair ->
             if
             :: ACCEPTED(activePair) || CONTAINS(me) || LEAKS(me) ->
#ifdef CONTAIN
                isContained = (CONTAINS(me) -> true : isContained);
#endif
                commit(me, retire_intended);
                at[me].step = retire_intended; at[me].id = at[me].slotID; at[me].hasStaged = false;
                at[me].doing = asking
             :: else -> give_up(me)
             fi
          fi
#endif
       :: state == retiring ->
          if
          :: at[me].primary != activePair -> give_up(me)
          :: at[me].primary == activePair && at[me].slot == previousPair ->
             commit(me, retire_postponed); at[me].doing = deciding
          :: at[me].primary == activePair && at[me].slot != previousPair ->
             commit(me, deleted); at[me].doing = deciding
          fi
       :: state == rejected ->
          if
          :: at[me].slot == stagedPair && at[me].primary != stagedPair ->
             if
             :: at[me].primary != activePair -> give_up(me)
             :: else ->
                commit(me, discard_intended);
                at[me].step = discard_intended; at[me].id = at[me].slotID; at[me].hasStaged = false;
                at[me].doing = asking
             fi
          :: else -> commit(me, discard_intended); at[me].doing = concluding
          fi
       :: state == discarding ->
          if
          :: at[me].primary != activePair -> give_up(me) /* another pair is primary, the staged one or a foreign one */
          :: at[me].primary == activePair && at[me].slot == stagedPair ->
             commit(me, discard_postponed); at[me].doing = deciding
          :: at[me].primary == activePair && at[me].slot != stagedPair ->
             mark_discarded(); commit(me, discarded); at[me].doing = deciding
          fi
       fi;
       if
       :: at[me].doing != concluding -> forget_view(me)
       :: else
       fi;
       if
       :: at[me].doing != looking -> at[me].isSecondLook = false
       :: else
       fi;
       check_laws()
     }

  /* DELETE of an expired set, under the intent to stage. */
  :: atomic {
       at[me].doing == clearing && (!calm || me == SURVIVOR) ->
       count_step();
       if
       :: delete(at[me].id, at[me].answer)
       :: !calm -> at[me].answer = lost
       :: !calm -> delete(at[me].id, at[me].answer); at[me].answer = lost
       :: !calm -> send_late(me); at[me].answer = lost
       fi;
       at[me].id = 0;
       if
       :: at[me].answer == lost -> at[me].doing = answered
       :: else -> at[me].answer = none; at[me].doing = asking
       fi;
       check_laws()
     }

  /* One request. The lease is not checked here: it was held when the intent was journalled. */
  :: atomic {
       at[me].doing == asking && (!calm || me == SURVIVOR) ->
       count_step();
       if
       :: at[me].step == promote_intended ->
          assert(stagedPair != 0 && isSaved); /* law 1 */
          assert(isProved || CONTAINS(me)) /* law 2 */
       :: else
       fi;
       if
       :: !calm -> at[me].answer = limited /* it did not act, and says so */
       :: !calm -> at[me].answer = lost /* it did not act, and nobody knows */
       :: !calm -> send_late(me); at[me].answer = lost /* it did not act yet, and nobody knows */
       :: !calm && at[me].step == retire_intended -> at[me].answer = ok /* it says so, and did not act */
       :: true ->
          if
          :: at[me].step == stage_intended -> post(at[me].made, at[me].answer)
          :: at[me].step == promote_intended -> patch(at[me].id, at[me].answer, at[me].made)
          :: else -> delete(at[me].id, at[me].answer)
          fi;
          if
          :: !calm && at[me].answer == ok -> at[me].answer = lost; at[me].made = 0 /* the answer is lost, or useless */
          :: true
          fi
       fi;
       if
       :: at[me].step == promote_intended -> isProved = false
       :: else
       fi;
       at[me].id = 0;
       at[me].doing = answered;
       check_laws()
     }

  /* The outcome of that request. */
  :: atomic {
       at[me].doing == answered && MAY_WRITE(me) ->
       count_step();
       at[me].doing = deciding;
       if
       :: at[me].step == stage_intended ->
          if
          :: at[me].answer == ok -> save(at[me].made); commit(me, staged)
          :: at[me].answer == lost -> commit(me, stage_lost)
          :: at[me].answer == limited -> commit(me, stage_postponed)
          :: at[me].answer == occupied -> commit(me, stage_postponed); give_up(me)
          fi
       :: at[me].step == promote_intended ->
          if
          /* The answer is not proof: look at the provider. */
          :: at[me].answer == ok -> look_again(me)
          :: at[me].answer == lost || at[me].answer == not_found -> commit(me, promote_lost)
          :: at[me].answer == limited -> commit(me, promote_postponed)
          fi
       :: at[me].step == retire_intended ->
          if
#ifdef BREAK_DEBT_FORGOTTEN
          :: at[me].answer == ok ->
             commit(me, deleted); commit(me, prove_intended);
             assert(!ACCEPTED(previousPair)); /* law 5 */
             previousPair = 0; commit(me, refused)
#else
          :: at[me].answer == ok -> commit(me, deleted)
#endif
          :: at[me].answer == lost || at[me].answer == not_found -> commit(me, retire_lost)
          :: at[me].answer == limited -> commit(me, retire_postponed)
          fi
       :: at[me].step == discard_intended ->
          if
          :: at[me].answer == ok -> mark_discarded(); commit(me, discarded)
          :: at[me].answer == lost || at[me].answer == not_found -> commit(me, discard_lost)
          :: at[me].answer == limited -> commit(me, discard_postponed)
          fi
       fi;
       at[me].step = none; at[me].answer = none; at[me].made = 0;
       check_laws()
     }

  /* DELETE of the set that this run requested and whose secret is not shown. */
  :: atomic {
       at[me].doing == removing && (!calm || me == SURVIVOR) ->
       count_step();
       if
       :: delete(at[me].id, at[me].answer)
       :: !calm -> delete(at[me].id, at[me].answer); at[me].answer = lost
       :: !calm -> send_late(me); at[me].answer = lost
       fi;
       at[me].id = 0;
       at[me].doing = removed;
       check_laws()
     }
  :: atomic {
       at[me].doing == removed && MAY_WRITE(me) ->
       count_step();
       if
       :: at[me].answer == lost -> give_up(me)
       :: else -> at[me].answer = none; commit(me, stage_postponed); at[me].doing = deciding
       fi
     }

  /* A token grant with the staged pair. A good pair may be refused past its propagation window: see FLAPS. */
  :: atomic {
       at[me].doing == granting && at[me].answer == none && MAY_WRITE(me) ->
       count_step();
       if
       :: ACCEPTED(stagedPair) -> isProved = true; at[me].answer = accepted
       :: !ACCEPTED(stagedPair) || MAY_FLAP -> at[me].answer = refused
       fi
     }
  :: atomic {
       at[me].doing == granting && at[me].answer != none && MAY_WRITE(me) ->
       count_step();
       at[me].doing = deciding;
       if
       :: at[me].answer == accepted -> at[me].answer = none; commit(me, validated)
       :: at[me].answer == refused -> at[me].answer = none; commit(me, rejected)
       :: !calm -> at[me].answer = none; commit(me, validate_postponed); give_up(me) /* another problem */
       fi;
       check_laws()
     }

  /* The active pair is primary, and is granted a token. */
  :: atomic {
       at[me].doing == checking && MAY_WRITE(me) ->
       count_step();
       at[me].doing = deciding;
       if
       :: (primary == activePair || at[me].seenPromoted) && ACCEPTED(activePair) -> commit(me, verified)
       :: !calm || primary != activePair || !ACCEPTED(activePair) -> commit(me, verify_postponed); give_up(me)
       fi;
       at[me].seenPromoted = false
     }

  /*
   * The old pair is refused, the active one accepted, the old one refused again, because an outage refuses everybody.
   * If the old pair is still accepted, the run looks whether the provider still has it.
   */
  :: atomic {
       at[me].doing == probing && at[me].answer == none && MAY_WRITE(me) ->
       count_step();
       if
       :: !ACCEPTED(previousPair) && ACCEPTED(activePair) -> at[me].answer = refused
       :: ACCEPTED(previousPair) && slot == previousPair && primary == activePair -> at[me].answer = is_back
       :: else -> at[me].answer = no_proof
#ifdef BREAK_ONE_REFUSAL
       :: !calm -> at[me].answer = refused /* an outage: the old pair is refused, and the active one would be */
#endif
       fi
     }
  :: atomic {
       at[me].doing == probing && at[me].answer != none && MAY_WRITE(me) ->
       count_step();
       at[me].doing = deciding;
       if
       :: at[me].answer == refused ->
          at[me].answer = none;
          assert(previousPair != 0 && !ACCEPTED(previousPair)); /* law 5 */
          previousPair = 0;
#ifdef CONTAIN
          isContained = false;
#endif
          commit(me, refused)
       :: at[me].answer == is_back -> at[me].answer = none; commit(me, retire_postponed)
       :: at[me].answer == no_proof || !calm -> at[me].answer = none; commit(me, prove_postponed); give_up(me)
       fi;
       check_laws()
     }

  /* A process dies. */
  :: atomic { at[me].doing != idle && !calm -> printf("%d dies\n", me); send_late(me); stop(me); check_laws() }

  :: atomic { calm && (me != SURVIVOR || isFinished) -> break }
  od
}

#ifdef MARGIN
#define MAY_DELETE(r) \
  (at[r].doing == clearing || at[r].doing == removing || \
   (at[r].doing == concluding && (state == owed || state == rejected || state == ready || state == staging)) || \
   (at[r].doing == asking && (at[r].step == retire_intended || at[r].step == discard_intended)))
#define MAY_EXPIRE (!MAY_DELETE(0) && !MAY_DELETE(1))
#else
#define MAY_EXPIRE true
#endif

/* Time, chance, and late requests, until nothing fails any more. */
proctype World() {
  mtype ignored = none;
  byte pair;
  do
  :: atomic {
       slot != 0 && slotKind != Expired && !calm && MAY_EXPIRE -> /* 30 days; an expired set is listed, or removed */
       printf("provider: the set of pair %d expires\n", slot);
       if
       :: slotKind = Expired
       :: clear_slot()
       fi;
       check_laws()
     }
  :: atomic { lingering != 0 && !calm -> lingering = 0; check_laws() }
  :: atomic {
       late != none ->
       printf("a late request acts: %e\n", late);
       if
       :: late == stage_intended -> post(pair, ignored); isStray = (ignored == ok -> true : isStray)
       :: late == promote_intended -> patch(lateID, ignored, pair)
       :: else -> delete(lateID, ignored)
       fi;
       late = none; lateID = 0; pair = 0; ignored = none;
       check_laws()
     }
#ifndef FAULTS_STAY
  :: atomic {
       calm = true;
       printf("nothing fails any more\n");
       late = none; lateID = 0; lingering = 0;
       isExcused = (at[SURVIVOR].doing != idle);
       stop(OTHER(SURVIVOR));
       break
     }
#endif
  od
}

init {
  atomic {
#if READING == FRESH_ID || READING == NAMES_PRIMARY
    if
    :: livesOn = false
    :: true
    fi;
#endif
    run World();
    run Runner(0);
    run Runner(1)
  }
}
