//! Where load, scraping and faults meet: it turns a plan into a recording, and does nothing else.
