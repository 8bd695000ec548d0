/*
 * error.h - what an int return value means, everywhere in this tree.
 *
 *   0    done.
 *   < 0  a negative errno: this call cannot go on. Pass it up unchanged, until
 *        the function that owns the work (a session, a link, a request) ends
 *        it. That function logs it, once, with the id of its object. Outputs
 *        (`ret_x`) are not written.
 *   > 0  an answer of the module's own enum (MSG_UNKNOWN, ROOM_FULL, ...), for
 *        the direct caller and only for it: it handles the answer there and
 *        never returns it further up, because one level up the number means
 *        something else.
 *
 * So "if (r < 0) return r;" is always right, and a caller that sees a positive
 * value knows whose it is. What a peer does wrong is an answer or a refusal in
 * band; what the system does wrong is a failure; what we do wrong is an
 * assert(), which stays on in production. Nothing asserts on input.
 *
 * Predicates return bool, look-ups return a pointer or NULL (absence is not an
 * error). Functions that can fail are MUST_CHECK; who really can ignore the
 * result casts it to void and says why.
 *
 * The failures in use, beyond what the system reports:
 *   -ENOMEM      out of memory: ends one session or request, never the process
 *   -EBADMSG     a peer of ours (link, store) spoke nonsense
 *   -EINVAL      a text or value does not have the form it must have
 *   -E2BIG       over a limit of limits.h
 *   -ECONNRESET  the object was closed underneath; unwind quietly
 *   -ETIMEDOUT   a deadline passed
 */
#pragma once

/* "ENOMEM" for -ENOMEM or ENOMEM, "0" for 0, "E?" for numbers that the system does not know. */
const char *error_name(int r);
