// node hydrate.mjs REPORT PLANES: the measurements that a Cornerstone3D viewer makes of an SR, as JSON.
// PLANES is a JSON file: for each image "SOP Instance UID:frame" what the viewer knows of its plane.
import { readFileSync } from 'node:fs';
import { Cornerstone3DSR } from '@cornerstonejs/adapters/cornerstone3D';
import { metaData } from '@cornerstonejs/core';
import dcmjs from 'dcmjs';

const { DicomMessage, DicomMetaDictionary } = dcmjs.data;

function readReport(path) {
  const bytes = readFileSync(path);
  const start = bytes.byteOffset;
  const parsed = DicomMessage.readFile(bytes.buffer.slice(start, start + bytes.byteLength));
  const report = DicomMetaDictionary.naturalizeDataset(parsed.dict);
  report._meta = DicomMetaDictionary.namifyDataset(parsed.meta);
  return report;
}

function describe(tool, measurement) {
  const { label, handles, cachedStats } = measurement.annotation.data;
  const [{ length, width, unit } = {}] = Object.values(cachedStats ?? {});
  const points = (handles.points ?? []).map((point) => Array.from(point));
  return {
    tool, label, length, width, unit, points,
    image: measurement.annotation.metadata.referencedImageId,
    trackingUid: measurement.TrackingUniqueIdentifier,
    sites: (measurement.findingSites ?? []).map((site) => site.CodeMeaning),
  };
}

const [reportPath, planesPath] = process.argv.slice(2);
const planes = JSON.parse(readFileSync(planesPath, 'utf8'));
metaData.addProvider((type, image) => (type === 'imagePlaneModule' ? planes[image] : undefined), 1);
const images = Object.fromEntries(Object.keys(planes).map((image) => [image, image]));
const state = Cornerstone3DSR.MeasurementReport.generateToolState(
  readReport(reportPath), images, metaData,
);
const found = Object.entries(state).flatMap(
  ([tool, measurements]) => measurements.map((each) => describe(tool, each)),
);
process.stdout.write(`\n${JSON.stringify(found)}\n`);
