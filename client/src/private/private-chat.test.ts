import './suites/private-chat.ts';
import './suites/private-nodes.ts';
