/* script.h -- engine tests as tables: a command, the records it must give, the book it must leave.
 *
 *   buy|sell ID uUSER LOTS@PRICE [ioc|fok|gtd=TIME|market|quote=MINOR|stop=PRICE|stop-limit=PRICE|post|slide|show=LOTS|
 *     stp=oldest|both|decrement|maker=PPM taker=PPM …] · cancel ID uUSER · amend ID uUSER LOTS@PRICE [short] ·
 *     cancel-all uUSER · kill uUSER · unkill uUSER · quotes uUSER SET: ORDER, ORDER … · reference PRICE · tick TIME ·
 *     limits [min-price=… max-price=… price-step=… min-lots=… max-lots=… lot-step=… min-notional=… max-notional=…
 * band=PPM] · halt · cancel-only · auction · open                (each takes one microsecond, tick goes to TIME)
 * Records:  fill LOTS@PRICE mMAKER tTAKER · open ID LOTS@PRICE · wait ID LOTS@PRICE · close ID LOTS why · refuse ID why
 *           (status REJECTED) · nocancel ID gone|foreign · trigger ID PRICE · amended ID LOTS@PRICE left LOTS
 * kept|moved · noamend ID problem · post N (postings in the group) · book SIDE PRICE:LOTS/ORDERS …   joined by "; "
 * Book:     bids and asks from the touch, a queue in its order: "100:1x5,3x2 99:7x1 | 101:4x2" (price:ID x LOTS, of an
 *           iceberg what shows in brackets), then waiting orders "^ID!STOP" to buy, "vID!STOP" to sell
 * NULL means: not checked. */
#pragma once

#include "audit.h"

struct script_step {
    const char *command;
    const char *records;
    const char *book;
};

struct script;

struct script *script_new(uint32_t orders_max, uint32_t pages_max);
void script_free(struct script *script);
DEFINE_CLEANUP(struct script *, script_free)

struct engine *script_engine(struct script *script);
void script_step(struct script *script, const struct script_step *step);
void script_command(struct script *script, const char *command); /* without the checks of a step: for many */

/* Runs a table that ends with a NULL command on a new engine. */
void script_run(const struct script_step *steps);
