import './suites/private-chat.ts';
