/* Inside the core room, and for its tests. Not collective. */
#ifndef PULMO_CORE_ROOM_H
#define PULMO_CORE_ROOM_H

#include <stdint.h>

/* One block: out = Philox4x32-10(counter, key). */
void philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* Bytes this process may still use: the smaller of the machine's available memory and the
 * room left under the memory limits of its control groups (v1 and v2), cached files not counted
 * as used; UINT64_MAX if unknown. */
uint64_t memory_available_bytes(void);

#endif
