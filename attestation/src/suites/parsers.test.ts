import './parsers.ts';
import './record.ts';
