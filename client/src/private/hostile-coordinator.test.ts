import './suites/hostile-coordinator.ts';
