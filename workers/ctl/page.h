/*
 * A page of the simulated shop: where it is shown, on what, and which propositions it lists.
 *
 * A page hangs on its seed and its user alone, so a record about it that is sent late or again is
 * made again and need not be kept. Any thread, no state.
 */
#pragma once

#include "ctl/shop.h"

enum { PAGE_LIST_MOST = 200 };

enum placement { PLACEMENT_HOME, PLACEMENT_GENRE, PLACEMENT_SEARCH };

struct page {
    enum placement placement;
    unsigned device;
    unsigned genre; /* of what a genre's page or a search lists: rather one that the user likes */
    unsigned noun;  /* that is searched for; SHOP_NOUNS: the genre's name is */
    uint32_t count;
    uint32_t list[PAGE_LIST_MOST];
};

/* list_size is at most PAGE_LIST_MOST; 0 leaves the list empty and the rest as it is with a list.
 */
void page_make(struct page *p, const struct shop *s, uint64_t seed, uint32_t user,
               uint32_t list_size);
