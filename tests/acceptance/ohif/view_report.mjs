// node view_report.mjs DIST ARCHIVE STUDY PICTURE: what a radiologist sees of a report in OHIF, as JSON.
//
// DIST is a built OHIF, ARCHIVE the address of an archive that speaks DICOMweb, STUDY the Study
// Instance UID. Opens the study in headless Chromium, loads its report into the measurements,
// jumps to the first one, takes a screenshot, and stores the measurements as a report of the viewer.
import { createReadStream, existsSync, statSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { extname, join, normalize, resolve, sep } from 'node:path';
import puppeteer from 'puppeteer-core';

const [distPath, archive, study, picture] = process.argv.slice(2);
const DIST = resolve(distPath);
const PATIENCE = 150_000; // ms for each step, on a machine that does other things as well
const TYPES = {
  '.css': 'text/css', '.html': 'text/html', '.ico': 'image/x-icon', '.js': 'text/javascript',
  '.json': 'application/json', '.png': 'image/png', '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm', '.woff2': 'font/woff2',
};
const CONFIG = {
  routerBasename: null,
  extensions: [],
  modes: [],
  showStudyList: true,
  investigationalUseDialog: { option: 'never' },
  defaultDataSourceName: 'archive',
  dataSources: [{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
    sourceName: 'archive',
    configuration: {
      name: 'archive', friendlyName: 'archive', wadoUriRoot: '/dicom-web', qidoRoot: '/dicom-web',
      wadoRoot: '/dicom-web', qidoSupportsIncludeField: false, imageRendering: 'wadors',
      thumbnailRendering: 'wadors', enableStudyLazyLoad: true, supportsWildcard: true,
      omitQuotationForMultipartRequest: true, bulkDataURI: { enabled: true },
    },
  }],
};

function forward(incoming, answer) {
  const { host } = incoming.headers; // the archive names itself by it in its answers
  const options = { method: incoming.method, headers: { ...incoming.headers, host } };
  const call = request(new URL(incoming.url, archive), options, (got) => {
    answer.writeHead(got.statusCode, got.headers);
    got.pipe(answer);
  });
  call.on('error', (error) => answer.writeHead(502).end(String(error)));
  incoming.pipe(call);
}

function serveFile(pathname, answer) {
  let file = join(DIST, normalize(pathname));
  if (!file.startsWith(DIST + sep) || !existsSync(file) || statSync(file).isDirectory()) {
    file = join(DIST, 'index.html');
  }
  answer.writeHead(200, {
    'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
    'cross-origin-embedder-policy': 'require-corp',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
  });
  createReadStream(file).pipe(answer);
}

function serve() {
  const server = createServer((incoming, answer) => {
    const { pathname } = new URL(incoming.url, 'http://viewer');
    if (pathname.startsWith('/dicom-web')) forward(incoming, answer);
    else if (pathname === '/app-config.js') {
      answer.writeHead(200, { 'content-type': 'text/javascript' });
      answer.end(`window.config = ${JSON.stringify(CONFIG)};`);
    } else serveFile(pathname, answer);
  });
  return new Promise((ready) => { server.listen(0, '127.0.0.1', () => ready(server)); });
}

// Clicks the button with these words; false when it does not appear in time.
async function press(page, words, timeout) {
  const find = (pattern) => [...document.querySelectorAll('button')]
    .find((each) => new RegExp(pattern, 'i').test(each.innerText.trim()));
  const button = await page.waitForFunction(find, { timeout }, words).catch(() => null);
  await button?.click();
  return Boolean(button);
}

// Loads the report as a person would: double click on its thumbnail, then "Yes" to the question.
// A tour that opens late swallows clicks, so this is tried again for as long as patience lasts.
async function loadReport(page) {
  const patienceEnds = Date.now() + PATIENCE;
  while (Date.now() < patienceEnds) {
    await press(page, '^skip all', 500);
    const report = await page.$('[data-cy="study-browser-thumbnail-no-image"]');
    await report?.click({ count: 2 });
    if (await press(page, '^(yes|hydrate|load)', 8000)) return;
  }
  throw new Error('the viewer did not offer to load the report');
}

// What the viewer now has and shows; runs in the page.
function observe() {
  const { cornerstoneViewportService, measurementService, viewportGridService } = window.services;
  const viewport = cornerstoneViewportService.getCornerstoneViewport(
    viewportGridService.getActiveViewportId(),
  );
  const measurements = measurementService.getMeasurements().map((each) => {
    const [{ length, width, unit } = {}] = Object.values(each.data ?? {});
    return {
      label: each.label, tool: each.toolName, instance: each.SOPInstanceUID, length, width, unit,
    };
  });
  return { measurements, image: viewport?.getCurrentImageId?.() ?? '', text: document.body.innerText };
}

// Stores what was loaded as a new report, as the button "Create report" does; runs in the page.
async function storeReport() {
  const order = {
    measurementData: window.services.measurementService.getMeasurements(),
    dataSource: 'archive',
    additionalFindingTypes: ['ArrowAnnotate'],
    options: { SeriesDescription: 'Stored by the viewer', SeriesNumber: 3001 },
  };
  const context = 'CORNERSTONE_STRUCTURED_REPORT';
  const report = await window.commandsManager.runCommand('storeMeasurements', order, context);
  return report.SOPInstanceUID;
}

async function main() {
  const server = await serve();
  const browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM,
    args: [
      '--no-sandbox', '--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader',
      '--ignore-gpu-blocklist', '--disable-dev-shm-usage',
    ],
  });
  try {
    const page = await browser.newPage();
    await page.setViewport({ width: 1400, height: 900 });
    const viewer = `http://127.0.0.1:${server.address().port}/viewer?StudyInstanceUIDs=${study}`;
    await page.goto(viewer, { waitUntil: 'domcontentloaded' });
    await page.waitForSelector('[data-cy="study-browser-thumbnail-no-image"]', { timeout: PATIENCE });
    await page.waitForSelector('canvas', { timeout: PATIENCE });
    await loadReport(page);
    await page.waitForFunction(
      () => /Lesion 1: [^]* mm/.test(document.querySelector('svg.svg-layer')?.textContent ?? ''),
      { timeout: PATIENCE },
    );
    await page.screenshot({ path: picture });
    const seen = await page.evaluate(observe);
    console.log(JSON.stringify({ ...seen, stored: await page.evaluate(storeReport) }));
  } finally {
    await browser.close();
    server.close();
    server.closeAllConnections();
  }
}

await main();
