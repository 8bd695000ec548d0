/* registry_model.c - see registry_model.h. */
#include "tests/support/registry_model.h"

#include <assert.h>

void registry_model_init(struct registry_model *m)
{
    *m = (struct registry_model){0};
}

static void model_copy(char *to, struct slice from, size_t cap)
{
    assert(from.len < cap);
    if (from.len)
        memcpy(to, from.data, from.len);
    to[from.len] = '\0';
}

static struct model_member *model_find(struct registry_model *m, struct slice id)
{
    for (size_t i = 0; i < m->n_members; i++) {
        if (slice_eq_str(id, m->members[i].id))
            return &m->members[i];
    }
    return NULL;
}

static void model_bump(struct registry_model *m, uint64_t wall_ms, uint64_t known)
{
    uint64_t newest = MAX(m->epoch, known);

    m->epoch = MAX(newest, wall_ms) + 1;
}

static void model_drop(struct registry_model *m, struct model_member *member)
{
    *member = m->members[--m->n_members];
}

/* Whether the ring has room for it in place of its earlier self. */
static bool model_has_room(const struct registry_model *m, const struct model_member *old,
                           uint32_t weight)
{
    uint32_t total = weight;

    for (size_t i = 0; i < m->n_members; i++) {
        if (&m->members[i] != old)
            total += m->members[i].weight;
    }
    return total <= RING_TOTAL_WEIGHT_MAX && (old || m->n_members < RING_MEMBERS_MAX);
}

int registry_model_put(struct registry_model *m, uint64_t wall_ms,
                       const struct ring_member *member, uint64_t known_epoch, bool found)
{
    struct model_member *old = model_find(m, member->id);
    struct model_member now;

    if (m->epoch == 0 && !found)
        return REGISTRY_EMPTY;
    if (old && old->incarnation > member->incarnation && old->lease_until_ms > wall_ms)
        return REGISTRY_GONE;
    if (!model_has_room(m, old, member->weight))
        return REGISTRY_REFUSED;
    now = (struct model_member){
        .incarnation = member->incarnation,
        .weight = member->weight,
        .draining = member->draining,
        .lease_until_ms = wall_ms + LEASE_TTL_MS,
    };
    model_copy(now.id, member->id, sizeof(now.id));
    model_copy(now.address, member->address, sizeof(now.address));
    if (!old) {
        assert(m->n_members < MODEL_MAX);
        old = &m->members[m->n_members++];
    }
    *old = now;
    model_bump(m, wall_ms, known_epoch);
    return 0;
}

int registry_model_renew(struct registry_model *m, uint64_t wall_ms, struct slice id,
                         uint64_t incarnation)
{
    struct model_member *member = model_find(m, id);

    if (m->epoch == 0)
        return REGISTRY_EMPTY;
    if (!member || member->incarnation != incarnation)
        return REGISTRY_GONE;
    member->lease_until_ms = wall_ms + LEASE_TTL_MS;
    return 0;
}

int registry_model_remove(struct registry_model *m, uint64_t wall_ms, struct slice id,
                          uint64_t incarnation, uint64_t known_epoch)
{
    struct model_member *member = model_find(m, id);

    if (m->epoch == 0)
        return REGISTRY_EMPTY;
    if (!member || member->incarnation != incarnation)
        return REGISTRY_GONE;
    model_drop(m, member);
    model_bump(m, wall_ms, known_epoch);
    return 0;
}

/* ---- evictions ---- */

static void model_forget(struct model_note *notes, size_t *n, uint64_t wall_ms,
                         uint64_t keep_ms)
{
    for (size_t i = 0; i < *n;) {
        if (wall_ms >= notes[i].at_ms + keep_ms)
            notes[i] = notes[--*n];
        else
            i++;
    }
}

static void model_note(struct model_note *notes, size_t *n, const struct model_note *note)
{
    assert(*n < MODEL_MAX);
    notes[(*n)++] = *note;
}

/* Notes the observer's evidence; true when another one has said the same. */
static bool model_suspect(struct registry_model *m, uint64_t wall_ms,
                          const struct registry_eviction *e)
{
    struct model_note note = {.incarnation = e->incarnation, .at_ms = wall_ms};
    bool others = false, known = false;

    model_forget(m->suspects, &m->n_suspects, wall_ms, SUSPECT_MS);
    model_copy(note.id, e->id, sizeof(note.id));
    model_copy(note.observer, e->observer, sizeof(note.observer));
    for (size_t i = 0; i < m->n_suspects; i++) {
        struct model_note *s = &m->suspects[i];

        if (strcmp(s->id, note.id) != 0 || s->incarnation != note.incarnation)
            continue;
        if (strcmp(s->observer, note.observer) == 0)
            known = true;
        else
            others = true;
        s->at_ms = wall_ms;
    }
    if (!known)
        model_note(m->suspects, &m->n_suspects, &note);
    return others;
}

static bool model_is_dead(struct registry_model *m, uint64_t wall_ms,
                          const struct model_member *member, const struct registry_eviction *e)
{
    bool expired = member->lease_until_ms <= wall_ms;
    bool old = expired || wall_ms + LEASE_TTL_MS - member->lease_until_ms >= SUSPECT_LEASE_MS;
    bool agreed = e->refused && model_suspect(m, wall_ms, e);

    return (expired && e->trust_leases) || agreed || (e->refused && old && e->trust_leases);
}

/* The hold of this id, renewed or made; NULL while it forbids an eviction. */
static struct model_note *model_hold(struct registry_model *m, uint64_t wall_ms,
                                     const struct model_member *member)
{
    struct model_note fresh = {.hold_ms = EVICT_HOLD_MS};

    model_forget(m->holds, &m->n_holds, wall_ms, 2 * EVICT_HOLD_MAX_MS);
    for (size_t i = 0; i < m->n_holds; i++) {
        struct model_note *hold = &m->holds[i];

        if (strcmp(hold->id, member->id) != 0)
            continue;
        if (wall_ms < hold->at_ms + hold->hold_ms)
            return NULL;
        hold->hold_ms = hold->incarnation == member->incarnation
                            ? MIN(2 * hold->hold_ms, (uint64_t)EVICT_HOLD_MAX_MS)
                            : EVICT_HOLD_MS;
        return hold;
    }
    memcpy(fresh.id, member->id, sizeof(fresh.id));
    model_note(m->holds, &m->n_holds, &fresh);
    return &m->holds[m->n_holds - 1];
}

int registry_model_evict(struct registry_model *m, uint64_t wall_ms,
                         const struct registry_eviction *e)
{
    struct model_member *member = model_find(m, e->id);
    struct model_note *hold;
    size_t allowed;

    if (m->epoch == 0)
        return REGISTRY_EMPTY;
    if (!member)
        return REGISTRY_GONE;
    if (member->incarnation != e->incarnation || !model_is_dead(m, wall_ms, member, e))
        return REGISTRY_REFUSED;
    if (wall_ms < m->grace_until_ms || m->n_members <= 1)
        return REGISTRY_REFUSED;
    model_forget(m->evictions, &m->n_evictions, wall_ms, EVICT_WINDOW_MS);
    allowed = MAX((m->n_members + m->n_evictions) / 3, (size_t)1);
    if (m->n_evictions >= allowed)
        return REGISTRY_REFUSED;
    hold = model_hold(m, wall_ms, member);
    if (!hold)
        return REGISTRY_REFUSED;
    hold->at_ms = wall_ms;
    hold->incarnation = member->incarnation;
    model_note(m->evictions, &m->n_evictions, hold);
    model_drop(m, member);
    model_bump(m, wall_ms, e->known_epoch);
    return 0;
}

/* ---- reading and restoring ---- */

int registry_model_read(struct registry_model *m, uint64_t wall_ms)
{
    (void)wall_ms;
    return m->epoch == 0 ? REGISTRY_EMPTY : 0;
}

int registry_model_restore(struct registry_model *m, uint64_t wall_ms, const struct ring *ring,
                           uint64_t expected_epoch)
{
    struct model_member old[MODEL_MAX];
    size_t n_old = m->n_members;

    if (m->epoch != expected_epoch)
        return REGISTRY_STALE;
    memcpy(old, m->members, sizeof(old));
    for (size_t i = 0; i < ring_count(ring); i++) {
        const struct ring_member *from = ring_at(ring, i);
        struct model_member *to = &m->members[i];

        *to = (struct model_member){
            .incarnation = from->incarnation,
            .weight = from->weight,
            .draining = from->draining,
        };
        model_copy(to->id, from->id, sizeof(to->id));
        model_copy(to->address, from->address, sizeof(to->address));
        for (size_t j = 0; j < n_old; j++) { /* leases are apart from the members */
            if (strcmp(old[j].id, to->id) == 0 && old[j].incarnation == to->incarnation)
                to->lease_until_ms = old[j].lease_until_ms;
        }
    }
    m->n_members = ring_count(ring);
    m->epoch = ring_identity(ring).epoch;
    m->grace_until_ms = wall_ms + LEASE_TTL_MS;
    return 0;
}

struct registry_view registry_model_view(struct registry_model *m, uint64_t wall_ms)
{
    for (size_t i = 0; i < m->n_members; i++) {
        const struct model_member *from = &m->members[i];

        m->view_members[i] = (struct ring_member){
            .id = slice_str(from->id),
            .address = slice_str(from->address),
            .incarnation = from->incarnation,
            .weight = from->weight,
            .draining = from->draining,
        };
        m->view_ages[i] = from->lease_until_ms <= wall_ms
                              ? REGISTRY_LEASE_EXPIRED
                              : wall_ms + LEASE_TTL_MS - from->lease_until_ms;
    }
    return (struct registry_view){
        .epoch = m->epoch,
        .n = m->epoch ? m->n_members : 0,
        .members = m->view_members,
        .lease_age_ms = m->view_ages,
    };
}
