/* log.h -- one JSON object a line on stderr: {"ts","level","service","msg","trace_id",…}. Any thread; a line is one
 * write(). Never pass secrets: tokens, passwords, DSNs. Level from LOG_LEVEL (debug, info, warn, error; default info).
 */
#pragma once

#include <event_bus/error.h>
#include <event_bus/trace.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

void log_init(const char *service);
void log_set_level(enum log_level level);
void log_write(enum log_level level, const char *fmt, ...) PRINTF(2, 3);
void log_trace(enum log_level level, const struct trace *trace, const char *fmt, ...) PRINTF(3, 4); /* adds trace_id */
void log_error(const char *what, const struct error *e);        /* level by kind: TRANSIENT is warn, others error */
void log_error_seldom(const char *what, const struct error *e); /* what comes again is counted: event_bus/repeats.h */

/* For kafka_log_to(). */
void log_kafka(int syslog_level, const char *client, const char *facility, const char *text);

#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)  log_write(LOG_INFO, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_WARN, __VA_ARGS__)
