"""Files of towers in, one canonical dataset out; it knows neither JAX nor the models."""

from bowen.data.alma import from_alma as from_alma
from bowen.data.alma import to_alma as to_alma
from bowen.data.fetch import ATTRIBUTION as ATTRIBUTION
from bowen.data.fetch import fetch_demo as fetch_demo
from bowen.data.gaps import fill_forcing as fill_forcing
from bowen.data.inspection import fingerprint as fingerprint
from bowen.data.inspection import summary as summary
from bowen.data.plumber2 import read_plumber2 as read_plumber2
from bowen.data.quality import check as check
from bowen.data.quality import measured as measured
from bowen.data.reading import read as read
from bowen.data.reading import read_simulation as read_simulation
from bowen.data.schema import FORCING as FORCING
from bowen.data.schema import QC as QC
from bowen.data.schema import RADIATION as RADIATION
from bowen.data.schema import SCHEMA as SCHEMA
from bowen.data.schema import TARGETS as TARGETS
from bowen.data.schema import WEATHER as WEATHER
from bowen.data.schema import Variable as Variable
from bowen.data.schema import attributes as attributes
from bowen.data.site import read_site as read_site
from bowen.data.splits import block_split as block_split
from bowen.data.splits import period as period
from bowen.data.splits import period_split as period_split
from bowen.data.store import write_netcdf as write_netcdf
from bowen.data.table import read_table as read_table
