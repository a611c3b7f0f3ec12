# SPDX-License-Identifier: Apache-2.0
$(eval $(call room_library,firmware))
