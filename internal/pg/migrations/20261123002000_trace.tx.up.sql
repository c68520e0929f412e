-- The W3C traceparent of whoever asked for the post last: its wake-up, hours or months later, links to that trace.
ALTER TABLE posts ADD COLUMN trace_parent text;
