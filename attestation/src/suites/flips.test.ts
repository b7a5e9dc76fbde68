import './flips.ts';
