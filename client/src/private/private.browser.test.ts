/** The same suites as in Node, inside Chromium. */
import './suites/private-chat.ts';
import './suites/private-nodes.ts';
import './suites/hostile-coordinator.ts';
