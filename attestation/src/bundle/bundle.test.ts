import '../suites/bundle.ts';
import '../suites/memory.ts';
import '../suites/unused.ts';
